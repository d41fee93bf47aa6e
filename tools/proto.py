"""Generates the committed Python of proto/ and checks the contracts, without a network.

`python -m tools.proto generate` brings proto/python up to date. `check` fails when it is not, when buf finds
a lint error, or when a contract breaks against the last landed main (`--base`, by default origin/main).
"""

import argparse
import filecmp
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet

# protovalidate ships validate.proto only as this generated module; tests/contract notices when it moves.
from protovalidate._gen.buf.validate import validate_pb

from tools import methods

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "proto"
OUTPUT = SOURCES / "python"
PACKAGES = ("buf", "tickdesk")
VALIDATE = "buf/validate/validate.proto"
WRITTEN = (Path("tickdesk/client.py"),)
"""Written by hand, among what is generated: the client."""
LINT = """{"version": "v2", "lint": {
    "use": ["STANDARD", "COMMENTS"],
    "ignore": ["buf", "google"],
    "disallow_comment_ignores": true}}"""
BREAKING = '{"version": "v2", "breaking": {"use": ["WIRE_JSON"], "ignore": ["buf", "google"]}}'


class Failure(Exception):
    """A step that did not succeed; the text says which and what to do."""


def main() -> int:
    """Runs the command named on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Generate and check the contracts of proto/.")
    parser.add_argument("command", choices=("generate", "check"))
    parser.add_argument("--base", default=os.environ.get("BASE", ""), help="git ref to compare with")
    args = parser.parse_args()
    try:
        if args.command == "generate":
            changed = sync()
            print(f"proto/python: {len(changed)} files changed" if changed else "proto/python is up to date")
        else:
            check(args.base)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def check(base: str) -> None:
    """Drift, lint, breaking changes, in that order. Raises Failure at the first that fails."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        drift = sync(dry=True)
        if drift:
            raise Failure("proto/python differs from proto/, run `make proto`:\n  " + "\n  ".join(drift))
        print("proto: generated code is up to date")
        image = build_image(SOURCES, work / "now.binpb")
        lint(image)
        print("proto: lint passed")
        check_breaking(image, base, work)


def lint(image: Path) -> None:
    """Style and comments of the contracts. Raises Failure with what buf says."""
    buf("lint", str(image), "--config", LINT)


def compare(image: Path, against: Path) -> None:
    """What old readers and writers would trip over. Raises Failure with what buf says."""
    buf("breaking", str(image), "--against", str(against), "--config", BREAKING)


def check_breaking(image: Path, base: str, work: Path) -> None:
    """Compares with the contracts of `base`; says so when there is nothing to compare with."""
    ref = base or "origin/main"
    if git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").returncode != 0:
        if base:
            raise Failure(f"there is no git ref {base} to compare contracts with")
        print("proto: no landed version (origin/main) to compare with, breaking changes were not checked")
        return
    archive = git("archive", ref, "proto/tickdesk")
    if archive.returncode != 0:
        print(f"proto: {ref} has no contracts yet, breaking changes were not checked")
        return
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(work / "base", filter="data")
    against = build_image(work / "base" / "proto", work / "base.binpb")
    compare(image, against)
    print(f"proto: nothing breaks against {ref}")


def sync(*, dry: bool = False) -> list[str]:
    """Brings proto/python to what the sources give (not when `dry`); returns the paths that differed."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        wanted = files_in(fresh)
        present = files_in(OUTPUT)
        differing = [
            path
            for path in sorted(wanted | present)
            if path not in wanted
            or path not in present
            or not filecmp.cmp(fresh / path, OUTPUT / path, shallow=False)
        ]
        if not dry:
            for path in differing:
                copy(fresh / path, OUTPUT / path)
    return [str(path) for path in differing]


def copy(source: Path, target: Path) -> None:
    """Makes target equal to source, which may be absent."""
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    else:
        target.unlink()


def files_in(folder: Path) -> set[Path]:
    """Generated files below the folder, relative to it."""
    found = (path for package in PACKAGES for path in (folder / package).rglob("*") if path.is_file())
    relative = (path.relative_to(folder) for path in found if "__pycache__" not in path.parts)
    return {path for path in relative if path not in WRITTEN}


def generate(target: Path) -> None:
    """Writes messages, gRPC stubs, their types and the package files into an empty folder."""
    protos = sources(SOURCES)
    if not protos:
        raise Failure("proto/tickdesk holds no .proto files")
    services = [path for path in protos if path.endswith("_service.proto")]
    out = str(target)
    protoc(SOURCES, [*protos, VALIDATE], f"--python_out={out}", f"--mypy_out={out}")
    if services:
        protoc(SOURCES, services, f"--grpc_python_out={out}", f"--mypy_grpc_out={out}")
    for package in PACKAGES:
        for folder in [target / package, *(path for path in (target / package).rglob("*") if path.is_dir())]:
            (folder / "__init__.py").touch()
        (target / package / "py.typed").touch()
    image = FileDescriptorSet.FromString(build_image(SOURCES, target / "image.binpb").read_bytes())
    (target / methods.PATH).write_text(methods.stub(image), encoding="utf-8")


def build_image(folder: Path, image: Path) -> Path:
    """Compiles the sources below the folder to a descriptor set that buf reads."""
    protoc(folder, sources(folder), "--include_imports", "--include_source_info", f"-o{image}")
    return image


def sources(folder: Path) -> list[str]:
    """Our .proto files, sorted, as protoc names them."""
    return sorted(path.relative_to(folder).as_posix() for path in (folder / "tickdesk").rglob("*.proto"))


def protoc(folder: Path, protos: Iterable[str], *options: str) -> None:
    """Runs protoc; validate.proto comes as a descriptor, the well-known types from grpc_tools."""
    with tempfile.TemporaryDirectory() as temporary:
        known = Path(temporary) / "validate.binpb"
        known.write_bytes(validate_descriptors())
        includes = Path(grpc_tools.__file__).parent / "_proto"
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        run(
            [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={known}", f"-I{folder}"]
            + [f"-I{includes}", *options, *protos],
            env={**os.environ, "PATH": tools},
        )


def validate_descriptors() -> bytes:
    """validate.proto and what it imports, as a serialised FileDescriptorSet."""
    files = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        module.DESCRIPTOR.CopyToProto(files.file.add())
    files.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    return files.SerializeToString(deterministic=True)


def buf(*arguments: str) -> None:
    """Runs buf from the environment of this interpreter."""
    run([str(Path(sys.executable).parent / "buf"), *arguments])


def run(command: list[str], env: dict[str, str] | None = None) -> None:
    """Runs a command from the root; raises Failure with its output."""
    result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        name = " ".join(Path(word).name for word in command[:3])
        raise Failure(f"{name} failed:\n{result.stdout}{result.stderr}")


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Runs git in the repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
