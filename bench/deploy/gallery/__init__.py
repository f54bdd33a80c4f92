"""Galleries: what the models of a run predict on telling images, as pictures and as figures for papers."""

from __future__ import annotations

from bench.deploy.gallery.make import Gallery, make_gallery
from bench.report.page.gallery import FOLDER, INDEX

__all__ = ["FOLDER", "INDEX", "Gallery", "make_gallery"]
