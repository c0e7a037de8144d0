"""The paths of the REST interface."""

from django.urls import path

from . import views
from .status_view import Status
from .upload_view import UploadView

urlpatterns = [
    path("", views.Root.as_view(), name="root"),
    path("upload/", UploadView.as_view(), name="upload"),
    path("files/", views.FileList.as_view(), name="files"),
    path("files/<uuid:pk>/", views.FileDetail.as_view(), name="file"),
    path("files/<uuid:pk>/retry/", views.Retry.as_view(), name="retry"),
    path("files/<uuid:pk>/content/", views.Content.as_view(), name="content"),
    path("files/<uuid:pk>/artifacts/<str:processor>/<str:name>/", views.ArtifactContent.as_view(), name="artifact"),
    path("processors/", views.ProcessorList.as_view(), name="processors"),
    path("status/", Status.as_view(), name="status"),
    path("livez", views.Live.as_view(), name="livez"),
    path("readyz", views.Ready.as_view(), name="readyz"),
]
