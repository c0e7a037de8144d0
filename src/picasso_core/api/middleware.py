"""What holds for every request."""

from collections.abc import Callable

from django.db import connection
from django.http import HttpRequest, HttpResponseBase

from ..patience import at_most

DATABASE_SECONDS = 3.5
"""With two seconds for a connection, an answer comes within six: 503 while the database is away or frozen."""


def bounded(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Have no request wait for the database for long, however slowly its body comes in."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        with at_most(DATABASE_SECONDS) as patience:
            response = get_response(request)
        if patience.lost and (pool := getattr(connection, "pool", None)):
            # The others that lie idle are lost as well, and each would cost a request.
            pool.drain()
        return response

    return answer
