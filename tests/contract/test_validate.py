"""What the contracts take from a private place of a library is still there."""

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from protovalidate._gen.buf.validate import validate_pb

from tools import proto


def test_protovalidate_still_brings_the_rules_that_contracts_are_compiled_with() -> None:
    """Its module is private: when a new version moves it, this fails and tools/proto.py has to follow."""
    file = FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())
    assert file.name == proto.VALIDATE
    assert {"FieldRules", "MessageRules"} <= {message.name for message in file.message_type}
    assert {"field", "message"} <= {extension.name for extension in file.extension}
