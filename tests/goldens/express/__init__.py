"""How each golden variant is said in our methods' options, one file a family."""

from tests.goldens.express import features, logits, regions, structured  # noqa: F401
