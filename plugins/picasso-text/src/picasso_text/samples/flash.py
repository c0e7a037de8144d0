"""How long a light is dark between two flashes."""


def dark_time(period: float, flashes: int, flash_length: float = 0.5) -> float:
    """Return the seconds of darkness in one period."""
    return period - flashes * flash_length


if __name__ == "__main__":
    print(f"Fl(2) W 10s is dark for {dark_time(10, 2)} seconds")
