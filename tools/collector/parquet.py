"""Writes small tables as Parquet with nothing but the standard library: one row group, plain encoding, no compression.

Format: Apache Parquet, file format 1; metadata in Thrift's compact protocol.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Mapping, Sequence, Union

Value = Union[int, float, str]

_INT64, _DOUBLE, _BYTE_ARRAY = 2, 5, 6
_STRUCT, _LIST, _I32, _I64, _BINARY = 12, 9, 5, 6, 8


def write_table(path: Path, rows: Sequence[Mapping[str, Value]]) -> None:
    """Writes rows that all have the same columns; a column holds integers, floats or text."""
    if not rows:
        raise ValueError(f"{path.name}: no rows to write")
    names = list(rows[0])
    body = bytearray(b"PAR1")
    chunks = []
    for name in names:
        values = [row[name] for row in rows]
        kind = _kind(name, values)
        data = _plain(kind, values)
        header = _struct(
            [
                (1, _I32, 0),  # data page
                (2, _I32, len(data)),
                (3, _I32, len(data)),
                (5, _STRUCT, [(1, _I32, len(rows)), (2, _I32, 0), (3, _I32, 3), (4, _I32, 3)]),
            ]
        )
        offset = len(body)
        body += header + data
        chunks.append((name, kind, offset, len(header) + len(data)))
    metadata = _struct(
        [
            (1, _I32, 1),
            (2, _LIST, (_STRUCT, [_root(len(names)), *(_element(name, kind) for name, kind, _, _ in chunks)])),
            (3, _I64, len(rows)),
            (4, _LIST, (_STRUCT, [_row_group(chunks, len(rows))])),
            (6, _BINARY, b"stator collector"),
        ]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(body) + metadata + struct.pack("<I", len(metadata)) + b"PAR1")


def _kind(name: str, values: Sequence[Value]) -> int:
    if all(isinstance(value, str) for value in values):
        return _BYTE_ARRAY
    if all(isinstance(value, int) for value in values):
        return _INT64
    if all(isinstance(value, (int, float)) for value in values):
        return _DOUBLE
    raise TypeError(f"column {name} mixes text and numbers")


def _plain(kind: int, values: Sequence[Value]) -> bytes:
    if kind == _INT64:
        return struct.pack(f"<{len(values)}q", *values)
    if kind == _DOUBLE:
        return struct.pack(f"<{len(values)}d", *values)
    encoded = (str(value).encode() for value in values)
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)


def _root(columns: int) -> list:
    return [(4, _BINARY, b"schema"), (5, _I32, columns)]


def _element(name: str, kind: int) -> list:
    fields = [(1, _I32, kind), (3, _I32, 0), (4, _BINARY, name.encode())]
    return fields + [(6, _I32, 0)] if kind == _BYTE_ARRAY else fields  # text


def _row_group(chunks: Sequence[tuple], rows: int) -> list:
    columns = [
        [
            (2, _I64, offset),
            (
                3,
                _STRUCT,
                [
                    (1, _I32, kind),
                    (2, _LIST, (_I32, [0])),
                    (3, _LIST, (_BINARY, [name.encode()])),
                    (4, _I32, 0),
                    (5, _I64, rows),
                    (6, _I64, size),
                    (7, _I64, size),
                    (9, _I64, offset),
                ],
            ),
        ]
        for name, kind, offset, size in chunks
    ]
    return [(1, _LIST, (_STRUCT, columns)), (2, _I64, sum(size for *_, size in chunks)), (3, _I64, rows)]


def _struct(fields: Sequence[tuple]) -> bytes:
    out = bytearray()
    last = 0
    for number, kind, value in fields:
        out.append((number - last) << 4 | kind)
        out += _value(kind, value)
        last = number
    out.append(0)
    return bytes(out)


def _value(kind: int, value: object) -> bytes:
    if kind in (_I32, _I64):
        return _varint(value << 1 ^ value >> 63)  # type: ignore[operator]
    if kind == _BINARY:
        return _varint(len(value)) + value  # type: ignore[arg-type, operator]
    if kind == _STRUCT:
        return _struct(value)  # type: ignore[arg-type]
    item, items = value  # type: ignore[misc]
    head = bytes([len(items) << 4 | item]) if len(items) < 15 else bytes([0xF0 | item]) + _varint(len(items))
    return head + b"".join(_value(item, each) for each in items)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
