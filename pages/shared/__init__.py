"""What several pages need: the view and its link, controls, cached calls, wording."""
