"""Pages by cursor: stable while files come in, and as fast at the end as at the start."""

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """``next`` and ``previous`` are URLs; ``page_size`` asks for up to 1,000."""

    ordering = ("-uploaded_at", "-id")
    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000
