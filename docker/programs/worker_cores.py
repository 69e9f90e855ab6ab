"""Prints how many cores the executors of this container's Spark worker take."""

import json
import os
import urllib.request

page = f"http://{os.environ.get('SHOPSTREAM_ADDRESS', 'localhost')}:8081/json/"
print(json.load(urllib.request.urlopen(page, timeout=10))["coresused"])
