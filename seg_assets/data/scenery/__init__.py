"""How the generated scenes are drawn: a pinhole camera, one light, flat faces in space, painted far to near."""
