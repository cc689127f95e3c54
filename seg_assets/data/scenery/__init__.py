"""How generated scenes are drawn: one camera, one light, flat faces painted far to near."""
