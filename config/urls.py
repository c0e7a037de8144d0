"""Every URL of the service."""

from django.urls import include, path

urlpatterns = [path("", include("picasso_core.api.urls"))]

handler400 = "picasso_core.api.errors.bad_request"
handler404 = "picasso_core.api.errors.not_found"
handler500 = "picasso_core.api.errors.server_error"
