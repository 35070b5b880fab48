"""At least five recorded answers of every shape, counted by hand: input, output, cache read, cache write, reasoning.

A sum is written as it was added: Anthropic and Bedrock leave the cache out of the input, Google leaves thoughts out of
the output.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Final

import pytest
from recorded import PROVIDERS, Counts, Row, body_of, recorded_rows

from tollmeter.pricing import Usage, extract_usage

pytestmark = pytest.mark.shared_data

_FAMILIES: Final = ("claude", "nova", "titan", "llama", "mistral", "cohere", "ai21")
BY_HAND: Final[dict[str, dict[str, Counts]]] = {
    "openai chat": {
        "e6e60dc86e575d73": (1497, 1037, 1408, None, 0),
        "0334abb3f9b49a7b": (11, 228, 0, None, 192),
        "7be202421c8a40a4": (11, 202, 0, None, 192),
        "cf72973e6a2520ed": (11, 138, 0, None, 128),
        "b2f85ff92f77323f": (15, 993, 0, None, 960),
    },
    "openai chat stream": {
        "0369b824735423fd": (22, 4, 0, None, 0),
        "e7c0474d397512c0": (26, 133, 0, None, 0),
        "a785ab2aca3e19e4": (75, 51, 0, None, 0),
        "a270a30848212178": (12, 5, 0, None, 0),
        "ed7b600925de4cd9": (26, 104, 0, None, 0),
    },
    "openai completions": {
        "3798f02be214c7d4": (61, 145, None, None, None),
        "5a610896b2a92b9a": (192, 256, None, None, None),
        "0e73645eb11f4aac": (8, 16, None, None, None),
        "f1a898f2a9f7489a": (8, 9, None, None, None),
        "c275be316730e6f3": (1116, 400, None, None, None),
    },
    "openai embeddings": {
        "2651e73986f4e3d0": (8, 0, None, None, None),
        "d5a6728753fe2ec7": (7, 0, None, None, None),
        "945d3a0322b02bb7": (9, 0, None, None, None),
        "afbb7b1953e9dd47": (27, 0, None, None, None),
        "cf368c2fee192f44": (24, 0, None, None, None),
    },
    "openai responses": {
        "9e0e65898c825a91": (44, 288, 0, None, 9),
        "ca443d6437ee7244": (11, 327, 0, None, 320),
        "ab6e8ec408155f80": (11, 131, 0, None, 64),
        "9aa52f09f1fef320": (12, 1014, 0, None, 832),
        "b22000ee7bd09e22": (44, 352, 0, None, 28),
    },
    "openai responses stream": {
        "aa739b254ef01f32": (22, 3, 0, None, 0),
        "0dba259fdd72a3ac": (22, 4, None, None, None),
        "d59a0dcbd14cf5b2": (22, 6, 0, None, 0),
        "0ac89280a26c0d97": (20, 11, 0, None, 0),
        "661114ea5cfd221f": (22, 13, 0, None, 0),
    },
    "openai threads": {
        "485c423b6ac93e54": (663, 53, None, None, None),
        "3164614bed4308b5": (381, 88, 0, None, 0),
        "9e90129dc2c195b2": (381, 89, 0, None, 0),
        "b72afec312835001": (376, 83, 0, None, 0),
        "39df889376ed9651": (381, 89, 0, None, 0),
        "8abfb14ae35d687b": (380, 90, 0, None, 0),
    },
    "azure_openai chat": {
        "c766ccefc4e01446": (11, 203, 0, None, 192),
        "8bcb773f6cd91e43": (15, 24, None, None, None),
        "9e7e7a2598a1b7c7": (16, 22, 0, None, 0),
        "9ec757e67f7abe27": (16, 30, 0, None, 0),
        "0a22bd4e7dc0f60e": (15, 19, None, None, None),
    },
    "azure_openai embeddings": {"038179654451320f": (8, 0, None, None, None)},
    "anthropic messages": {
        "80904d015780c6ec": (17, 220, None, None, None),
        "3a2f810f092e0415": (1381, 68, None, None, None),
        "624da092fd8c1654": (1311, 53, None, None, None),
        "a7b61a6a15dc00e2": (29, 46, 0, 0, None),
        "0af0d1bb4f123373": (1382, 80, 0, 0, None),
    },
    "anthropic messages stream": {
        "d3379e981325fb76": (17, 108, 0, 0, None),  # 108 replaces the 1 of message_start
        "fa8c846ae49ac909": (17, 100, 0, 0, None),
        "88ca58b9c321b80c": (17, 99, 0, 0, None),
        "245fb8190d438315": (17, 171, None, None, None),
        "5bcc4e5fa09faba8": (11, 6, 0, 0, None),
        "b0a0e4fdc92fff4c": (506, 153, 0, 0, None),
    },
    "anthropic messages cache": {
        "4ed27030618b6256": (4 + 1165, 207, 0, 1165, None),
        "54f1bc1f15364ecd": (4 + 1165, 224, 1165, 0, None),
        "32c3ac284fc82987": (4 + 1163, 187, 0, 1163, None),
        "7eb9ed5d55eb469f": (4 + 1163, 202, 1163, 0, None),
        "7ebf30672abc7660": (4 + 1165, 201, 0, 1165, None),
        "edd9e4b7b7030392": (4 + 1167, 289, 0, 1167, None),
        "1866401cc7b965b5": (4 + 1167, 256, 1167, 0, None),
        "58390def0bbe711d": (4 + 1165, 221, 1165, 0, None),
    },
    "bedrock converse": {
        "874b3815584fc616": (13, 50, None, None, None),
        "9ea7ac85c1d124cf": (8, 10, None, None, None),
        "f7447a6b51dacf11": (37, 8, None, None, None),
        "11fe0e0bf16f36ef": (415, 180, None, None, None),
        "a5f43f3fa2617055": (553, 80, None, None, None),
    },
    "bedrock converse stream": {
        "524920cefd3c13cd": (415, 195, None, None, None),
        "e7c764b41e526376": (37, 8, None, None, None),
        "e33e21e2399e45a4": (295, 43, None, None, None),
        "55ff08ad459ae70c": (52, 36, None, None, None),
        "cbda3d62f5a93843": (558, 57, None, None, None),
    },
    "bedrock invoke claude": {
        "07599fed2d45ed77": (4 + 18131, 50, 0, 18131, None),
        "a5ec3f6f2e3ed02e": (4 + 18131, 50, 18131, 0, None),
        "093b4c52f7949514": (8, 10, None, None, None),
        "aea3b2865755864d": (14, 10, None, None, None),
        "48e3004419944759": (392, 135, None, None, None),
    },
    "bedrock invoke claude stream": {
        "0fa2726ab229b22e": (392, 97, None, None, None),  # its message_delta said 133, its metrics 97
        "51b9350336b39b33": (22, 12, None, None, None),
        "7af900d317219e1b": (14, 10, None, None, None),
        "bfb78e053b1a4c2a": (37, 8, None, None, None),
        "dc5fea9f9515908e": (602, 137, None, None, None),
    },
    "bedrock invoke nova": {
        "9149e107539bb5d1": (30, 51, 0, 0, None),  # the output stands in a header alone
        "3e285d81bc540711": (5, 10, 0, 0, None),
        "86c1e586e5b8510d": (24, 10, 0, 0, None),
        "b22301cd135b60bd": (427, 172, 0, 0, None),
        "4fe5a0b208dbdf0a": (576, 57, 0, 0, None),
    },
    "bedrock invoke nova stream": {
        "762a09ab44ee32e4": (5, 10, 0, 0, None),
        "18a0f71d5e7fb840": (25, 10, 0, 0, None),
        "bff87208c963db15": (427, 160, 0, 0, None),
        "2b4e537b77627242": (572, 58, 0, 0, None),
        "e358b77057cbf281": (5, 10, None, None, None),
    },
    "bedrock invoke titan": {
        "a6b55c9fd869d6ab": (8, 10, None, None, None),
        "5a85523796b82bd1": (5, 10, None, None, None),
        "fd6b457258b8920d": (28, 197, None, None, None),  # sent as 28.0 and 197.0
        "17ef4baa81a4b70c": (9, 17, None, None, None),
        "976e01895d2c20d8": (30, 29, None, None, None),
    },
    "bedrock invoke titan stream": {
        "e34c64b489b441bd": (13, 10, None, None, None),
        "7f036d6deef147ff": (28, 188, None, None, None),
        "a1433f805e23e937": (5, 10, None, None, None),
        "94538c65be8893fc": (5, 10, None, None, None),
        "b63456affdb4e1bf": (5, 10, None, None, None),
    },
    "bedrock invoke llama": {
        "520d7038aa187906": (8, 10, None, None, None),
        "7735adb95589f06c": (5, 10, None, None, None),
        "b3126847a024adc9": (5, 10, None, None, None),
        "0cd00ff7ddc262a7": (158, 128, None, None, None),
        "d44829482f2c50e3": (8, 35, None, None, None),
    },
    "bedrock invoke cohere headers": {
        "b15ec5cfe8b4a390": (5, 5, None, None, None),
        "10ba01994f3d4f0b": (5, 10, None, None, None),
        "6d13dcddf073e3ec": (5, 10, None, None, None),
        "6328543fa5eef168": (5, 10, None, None, None),
        "7f3c906a900dca53": (9, 112, None, None, None),
    },
    "bedrock invoke cohere stream": {
        "886c4bed3d0b4e78": (5, 10, None, None, None),
        "fba6b52f2c752e00": (5, 10, None, None, None),
    },
    "bedrock invoke mistral headers": {
        "b9fa52f8358821d1": (6, 10, None, None, None),
        "a5284d21e954ac82": (6, 10, None, None, None),
    },
    "bedrock invoke mistral stream": {"01d4074abacf9889": (19, 20, None, None, None)},
    "bedrock invoke claude headers": {"cda66a64ac1b7c8b": (18, 87, None, None, None)},
    "bedrock invoke ai21 headers": {"7cac7b5b7c943490": (26, 42, None, None, None)},
    "bedrock invoke other": {"5b2f9124cb8b2a60": (6, 100, None, None, None)},  # speaks OpenAI's shape
    "gemini generateContent": {
        "55c4c18fc666c3a5": (5, 877 + 1058, None, None, 1058),
        "d816d2958f9713bb": (15, 10, None, None, None),
        "c4588b9b267baeb2": (5, 711 + 1096, None, None, 1096),
    },
    "gemini streamGenerateContent stream": {
        "89cc9cc225735c6d": (16, 54 + 552, None, None, 552),
        "670a8f31d084a952": (105, 13, None, None, None),
        "22323ca4bef4da2a": (467, 34 + 13, None, None, 13),
        "aabadcd7762071fe": (10, 20 + 423, None, None, 423),
        "a73b648788e1a8e8": (11, 14 + 381, None, None, 381),
        "d07ed4bd2deb84f5": (11, 2 + 291, None, None, 291),
    },
    "gemini batchEmbedContents": {
        "4e7aa332bef1b9b1": (4, 0, None, None, None),
        "7fa2308659a53e9d": (4, 0, None, None, None),
    },
    "vertex_gemini generateContent": {
        "fd99b26823406a51": (8, 404 + 1546, None, None, 1546),
        "442c6dbfaa80f1c4": (5, 0 + 4, None, None, 4),
        "27fd0761c2d96746": (521, 5 + 424, None, None, 424),
        "22181c97e475eb08": (128, 26 + 692, None, None, 692),
        "8b348a64b3fcc7f9": (74, 16 + 200, None, None, 200),
        "60464ea982a05129": (74, 16 + 392, None, None, 392),
    },
    "vertex_gemini streamGenerateContent stream": {
        "8e0e85d6c92bab93": (8, 437 + 2027, None, None, 2027),
        "2cb42b00b45cc6d5": (8, 354 + 1702, None, None, 1702),
        "2fac872c598c7e4f": (8, 257 + 1257, None, None, 1257),
        "92541a536b141528": (8, 388 + 2193, None, None, 2193),
    },
}
ALIKE: Final = {"gemini batchEmbedContents": 1}
"""Recorded rows of a shape that repeat one by hand to the letter."""


def shape_of(row: Row) -> str:
    operation = row["endpoint"].lstrip("/:").replace("chat/completions", "chat").partition("/")[0]
    words = [row["provider"], operation.removesuffix("-stream").removesuffix("-with-response")]
    if operation.startswith("invoke"):
        name = (row["request_model"] or row["url"]).lower()
        words.append(next((family for family in _FAMILIES if family in name), "other"))
    told = row["usage"] or {}
    if not told:
        words.append("headers")
    elif row["provider"] == "anthropic" and any(
        told.get(f"cache_{what}_input_tokens") for what in ("read", "creation")
    ):
        words.append("cache")
    elif row["stream"] and operation != "threads":
        words.append("stream")
    return " ".join(words)


def counted(row: Row) -> Counts | None:
    usage: Usage | None = extract_usage(
        PROVIDERS[row["provider"]],
        endpoint=row["endpoint"],
        status=row["status"],
        headers=row["response_headers"] or {},
        body=body_of(row),
        stream=row["stream"],
    )
    if usage is None:
        return None
    cached = (usage.cache_read_tokens, usage.cache_write_tokens)
    return usage.input_tokens, usage.output_tokens, *cached, usage.reasoning_tokens


@pytest.fixture(scope="module")
def told(shared: Path) -> dict[str, Row]:
    return {row["id"]: row for row in recorded_rows(shared) if row["usage"] or row["usage_headers"]}


@pytest.mark.parametrize("shape", BY_HAND)
def test_counted_by_hand(told: dict[str, Row], shape: str) -> None:
    assert {name: counted(told[name]) for name in BY_HAND[shape]} == BY_HAND[shape]
    assert {shape_of(told[name]) for name in BY_HAND[shape]} == {shape}


def test_every_shape_has_five_rows_by_hand_or_all_there_are(told: dict[str, Row]) -> None:
    there = Counter(shape_of(row) for row in told.values())
    found: dict[str, int] = defaultdict(int, {shape: len(rows) for shape, rows in BY_HAND.items()})
    assert {
        shape: found[shape] for shape, count in there.items() if found[shape] < min(5, count - ALIKE.get(shape, 0))
    } == {}


def test_an_image_in_the_input_is_a_part_of_it(told: dict[str, Row]) -> None:
    row = told["27fd0761c2d96746"]
    usage = extract_usage(
        "gcp.vertex_ai", endpoint=row["endpoint"], status=200, headers={}, body=body_of(row), stream=False
    )
    assert usage is not None
    assert (usage.input_tokens, usage.input_image_tokens) == (521, 516)
