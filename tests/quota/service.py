"""A rate limit service: Envoy's protocol, and the configuration that envoyproxy/ratelimit reads.

It counts by seconds, as that does, and in memory. Says its port first, and then of each request what
was asked by which descriptor, and how much was taken.
"""

import collections
import concurrent.futures
import sys
import threading
import time

import grpc
import yaml
from envoy.service.ratelimit.v3 import rls_pb2, rls_pb2_grpc


class Service(rls_pb2_grpc.RateLimitServiceServicer):
    def __init__(self, configuration):
        self.domain = configuration["domain"]
        self.limits = {}
        for descriptor in configuration["descriptors"]:
            limit = descriptor["rate_limit"]
            assert limit["unit"] == "second", limit
            self.limits[descriptor["key"], descriptor["value"]] = limit["requests_per_unit"]
        self.taken = collections.Counter()
        self.lock = threading.Lock()

    def ShouldRateLimit(self, request, context):
        response = rls_pb2.RateLimitResponse
        over = False
        with self.lock:
            second = int(time.time())
            for descriptor in request.descriptors:
                entries = [(entry.key, entry.value) for entry in descriptor.entries]
                has_own = descriptor.HasField("hits_addend")
                hits = descriptor.hits_addend.value if has_own else request.hits_addend or 1
                print(request.domain, *("=".join(entry) for entry in entries), hits, flush=True)
                limit = self.limits.get(entries[0])
                if request.domain != self.domain or limit is None:
                    continue
                self.taken[entries[0], second] += hits
                over |= self.taken[entries[0], second] > limit
        code = response.OVER_LIMIT if over else response.OK
        answer = response(overall_code=code)
        for _ in request.descriptors:
            answer.statuses.add(code=code)
        return answer


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        service = Service(yaml.safe_load(file))
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    rls_pb2_grpc.add_RateLimitServiceServicer_to_server(service, server)
    port = server.add_insecure_port(f"127.0.0.1:{sys.argv[2]}")
    server.start()
    print("port", port, flush=True)
    server.wait_for_termination()


main()
