"""Every URL of the service."""

from django.urls import include, path

from picasso_core.api.schema import Contract, Docs

urlpatterns = [
    path("", include("picasso_core.api.urls")),
    path("schema/", Contract.as_view(), name="schema"),
    path("docs/", Docs.as_view(), name="docs"),
    path("docs/<str:asset>", Docs.as_view()),
]

handler400 = "picasso_core.api.errors.bad_request"
handler404 = "picasso_core.api.errors.not_found"
handler500 = "picasso_core.api.errors.server_error"
