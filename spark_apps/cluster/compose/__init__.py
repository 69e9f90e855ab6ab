"""Docker and Compose, as this project calls them."""
