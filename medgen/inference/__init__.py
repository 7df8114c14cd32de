"""From a whole volume to a whole volume: tiles, and the MONAI inferers over them."""
