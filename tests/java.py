"""How tests start Java."""

# Java's second compiler never wins back on small data what it takes: a JVM that trained six times used 26 s of
# processor time without it and 46 s with it, side by side.
FIRST_COMPILER = "-XX:TieredStopAtLevel=1"
