"""Tables counted again, each against the one that it was made from: `shopstream check` reads, this room compares."""
