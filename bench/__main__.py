"""`python -m bench [NAME...]` measures and writes bench/results; `--help` lists the names."""

import argparse
import asyncio
import sys

from bench import create, demo, mail, marks, memory

BENCHES = {
    "create": create.measure,
    "mail": mail.measure,
    "marks": marks.measure,
    "memory": memory.measure,
    "demo": demo.measure,
}


def main() -> int:
    """Run the named benches, all of them by default."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Tickdesk on this machine.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    names = parser.parse_args().names or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench named {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    for name in names:
        print(f"== {name}", flush=True)
        path = asyncio.run(BENCHES[name]())
        print(f"   written to {path}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
