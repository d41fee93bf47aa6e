"""A bare gRPC server that returns what it gets: the floor below any RPC on this machine. Prints its port."""

from typing import Any

import grpc
import grpc.aio
import uvloop


class Echo(grpc.GenericRpcHandler):
    """Answers every method with the bytes of the request."""

    def service(self, handler_call_details: Any) -> Any:
        """Return the one handler there is."""

        async def echo(request: bytes, _: Any) -> bytes:
            return request

        return grpc.unary_unary_rpc_method_handler(echo)


async def main() -> None:
    """Serve until killed."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Echo(),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main())
