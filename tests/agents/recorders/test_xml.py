"""Reading a device's XML: any namespace, no entities, nothing without bounds."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders import xml
from support.cost import costing_less_than


def test_namespaces_and_prefixes_make_no_difference() -> None:
    plain = xml.Node("a", {}, "", [xml.Node("b", {}, "1")])
    assert xml.parse(b"<a><b>1</b></a>") == plain
    assert xml.parse(b'<x:a xmlns:x="http://www.isapi.org/ver20/XMLSchema"><x:b>1</x:b></x:a>').value("b") == "1"
    assert xml.parse(b'<a xmlns="http://www.hikvision.com/ver10/XMLSchema"><b> 1 </b></a>').value("b") == "1"


def test_padding_before_and_after_is_forgiven() -> None:
    assert xml.parse(b'\r\n\x00 <?xml version="1.0" encoding="UTF-8"?><a/>\x00\x00\n').name == "a"


def test_a_byte_order_mark_is_forgiven() -> None:
    assert xml.parse(b"\xef\xbb\xbf<a/>").name == "a"
    assert xml.parse("<a>\u5927</a>".encode("utf-16")).text == "\u5927"


BILLION_LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><l>&c;</l>"""
EXTERNAL = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><l>&a;</l>'


@pytest.mark.parametrize(
    "body",
    [
        BILLION_LAUGHS,
        EXTERNAL,
        b'<!DOCTYPE l SYSTEM "http://192.0.2.1/evil.dtd"><l/>',
        b"<a/><b/>",
        b"<a>",
        b"",
        b"\x00\x00",
        b"plain text",
        b"<a>" * 40 + b"</a>" * 40,
        b"<a>" + b"<b/>" * (xml.MAX_NODES + 1) + b"</a>",
        b"<a>" + b" " * xml.MAX_BYTES + b"</a>",
        b'<?xml version="1.0" encoding="GB2312"?><a>\xb4\xf3</a>',
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b"<a>&undefined;</a>",
    ],
)
def test_what_is_no_bounded_document_is_refused(body: bytes) -> None:
    with pytest.raises(xml.XmlError):
        xml.parse(body)


@given(st.binary(max_size=300) | st.text(alphabet="<>/ab =\"'&;!?[]-\x00", max_size=200).map(str.encode))
def test_any_bytes_are_a_node_or_an_xml_error(body: bytes) -> None:
    with suppress(xml.XmlError):
        assert isinstance(xml.parse(body), xml.Node)


def test_walking_meets_every_node_in_order() -> None:
    root = xml.parse(b"<a><b><c/></b><d/></a>")
    assert [node.name for node in root.walk()] == ["a", "b", "c", "d"]
    assert root.value("b", "x") is None


def test_a_text_in_many_pieces_is_joined_once() -> None:
    """A hostile recorder's megabytes between its elements must not be copied at every element."""
    body = b"<a>" + b"y" * 3_000_000 + b"x<b/>" * 190_000 + b"z</a>"
    with costing_less_than(6):  # copied each time it is half a minute and more
        node = xml.parse(body)
    assert len(node.text) == 3_190_001
    assert node.text.endswith("xz")
    assert len(node.children) == 190_000
