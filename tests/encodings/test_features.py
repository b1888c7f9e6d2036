"""Features of architectures: known answers, what is the same network, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from nassim.encodings import FeatureEncoder, features
from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces import get_space


def drawn(space: str, n: int = 30, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [get_space(space).sample(rng) for _ in range(n)]


def test_nasnet_counts_operations_pairs_and_inputs_of_each_cell() -> None:
    cell = "0sep3+1skip|1skip+0sep3|0avg3+3avg3|0max3+1max3|0sep5+5skip"
    other = "0skip+0skip|0skip+0skip|0skip+0skip|0skip+0skip|0skip+0skip"
    found = features(get_space("nasnet").parse(f"{cell}||{other}"))
    normal = {name[7:]: value for name, value in found.items() if name.startswith("normal ")}
    operations = {"sep3": 2, "skip": 3, "avg3": 2, "max3": 2, "sep5": 1}
    pairs = {"sep3+skip": 2, "avg3+avg3": 1, "max3+max3": 1, "sep5+skip": 1}
    assert normal == {**operations, **pairs, "mean input": 1.1}
    assert found["reduction skip"] == 10
    assert found["reduction mean input"] == 0


def test_darts_cells_are_counted_likewise() -> None:
    cell = "0sep3+1skip|0skip+1dil5|0avg3+2avg3|0skip+4sep3"
    found = features(get_space("darts").parse(f"{cell}||{cell}"))
    normal = {name[7:]: value for name, value in found.items() if name.startswith("normal ")}
    operations = {"sep3": 2, "skip": 3, "avg3": 2, "dil5": 1}
    pairs = {"skip+sep3": 2, "skip+dil5": 1, "avg3+avg3": 1}
    assert normal == {**operations, **pairs, "mean input": 1.0}
    assert found["reduction skip"] == 3


def test_the_halves_of_a_nasnet_block_commute() -> None:
    for architecture in drawn("nasnet"):
        halves = np.array(architecture.decisions).reshape(-1, 2, 2)[:, ::-1].ravel()
        swapped = get_space("nasnet").architecture(tuple(halves.tolist()))
        assert features(swapped) == features(architecture)


@pytest.mark.parametrize("space", ["nasbench101", "feedforward"])
def test_isomorphic_architectures_have_the_same(space: str) -> None:
    for architecture in drawn(space, 60):
        twin = get_space(space).parse(architecture.canonical_id)
        assert features(twin) == features(architecture)


def test_isomorphic_ones_are_among_them() -> None:
    for space in ("nasbench101", "feedforward"):
        assert any(a.id != a.canonical_id for a in drawn(space, 60))


def test_sizes_and_rates_of_feedforward_networks_are_ordered_too() -> None:
    found = features(get_space("feedforward").parse("svd:128:frozen|3x32:tanh:norm:drop0.5|lr3"))
    ordered = {name[9:]: value for name, value in found.items() if name.startswith("order of ")}
    assert ordered == {
        "embedding_size": 2,
        "layers": 3,
        "width": 1,
        "dropout": 2,
        "learning_rate_factor": 3,
    }
    assert {"embedding 1", "activation 1", "width 1"} <= set(found)


def test_nasbench101_has_vertices_edges_and_counts() -> None:
    cell = get_space("nasbench101").parse("conv3x3(0)|conv3x3(0,1)|output(0,2)")
    assert features(cell) == {
        "conv3x3": 2,
        "vertex 1 is conv3x3": 1,
        "vertex 2 is conv3x3": 1,
        "output": 1,
        "vertex 3 is output": 1,
        **{f"edge {edge}": 1 for edge in ("0-1", "0-2", "1-2", "0-3", "2-3")},
    }


def test_a_text_is_counted_by_its_tokens() -> None:
    found = features(get_space("table").parse("[C(64,3), C(32,3), SM(10)]"))
    assert found["'C' at 0"] == 2
    assert found["'3' at 2"] == 2
    assert found["'64' at 1"] == found["'10' at 1"] == 1
    assert found["words"] == 3


@pytest.mark.parametrize(
    "space", ["nasnet", "darts", "nasbench201", "nasbench201_3nodes", "nasbench101", "feedforward"]
)
def test_every_space_is_encoded(space: str) -> None:
    pool = drawn(space)
    encoder = FeatureEncoder.fit(pool)
    encoded = encoder.encode(pool)
    assert encoded.shape == (30, len(encoder.names))
    assert (encoded != 0).any(axis=0).all()  # no column that no architecture has
    assert len(np.unique(encoded, axis=0)) > 20
    for row, architecture in zip(encoded, pool, strict=True):
        named = dict(zip(encoder.names, row.tolist(), strict=True))
        assert {name: value for name, value in named.items() if value} == {
            name: value for name, value in features(architecture).items() if value
        }


def test_columns_do_not_depend_on_the_order() -> None:
    pool = drawn("nasnet")
    assert FeatureEncoder.fit(pool) == FeatureEncoder.fit(pool[::-1])


def test_what_no_source_has_is_left_out() -> None:
    space = get_space("nasbench201")
    encoder = FeatureEncoder.fit([space.architecture((0,) * 6)])
    assert encoder.encode([space.architecture((0, 1, 2, 3, 4, 0))]).tolist() == [[1, 0, 0, 0, 0, 1]]


def test_other_spaces_are_refused() -> None:
    with pytest.raises(InputError, match="are of spaces nasbench201, nasnet; expected one"):
        FeatureEncoder.fit([*drawn("nasnet", 1), *drawn("nasbench201", 1)])
    with pytest.raises(InputError, match=r"spaces \(none\)"):
        FeatureEncoder.fit([])
    encoder = FeatureEncoder.fit(drawn("nasnet", 2))
    with pytest.raises(InputError, match="is of space 'nasbench201'; expected 'nasnet'"):
        encoder.encode(drawn("nasbench201", 1))
