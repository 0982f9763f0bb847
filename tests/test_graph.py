"""What networks look like after training: nodes, multiply-adds, the summary."""

import pytest

import models
from minicnn import graph
from minicnn.layers import (
    AvgPool2D,
    Conv2D,
    Dense,
    Dropout,
    Fire,
    Flatten,
    GlobalAvgPool2D,
    MaxPool2D,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
)


def test_a_fire_is_plain_convolutions_and_a_concatenation():
    fire = Fire(3, squeeze=2, expand=4)
    g = graph.from_layer(Sequential([("fire2", fire)]), (5, 6, 3))
    named = [[g.tensors[t].name for t in (*n.inputs, n.output)] for n in g.nodes]
    assert [n.op for n in g.nodes] == ["CONV_2D", "CONV_2D", "CONV_2D", "CONCATENATION"]
    squeeze, one, three = (f"fire2/{name}" for name in ("squeeze", "expand1", "expand3"))
    assert named == [
        ["input", f"{squeeze}/w", f"{squeeze}/b", squeeze],
        [squeeze, f"{one}/w", f"{one}/b", one],
        [squeeze, f"{three}/w", f"{three}/b", three],
        [one, three, "fire2"],
    ]
    assert [g.shape(n.output) for n in g.nodes] == [(5, 6, 2), (5, 6, 4), (5, 6, 4), (5, 6, 8)]
    expand3 = g.nodes[2]
    assert g.data(expand3.inputs[1]) is fire.expand3.params["w"].value
    assert g.data(expand3.inputs[2]) is fire.expand3.params["b"].value
    assert expand3.attrs == {"stride": (1, 1), "padding": "same", "activation": "RELU"}


def test_the_nodes_of_every_layer():
    net = Sequential(
        [
            ("conv", Conv2D(3, 4, (2, 3), (1, 2))),
            ("relu", ReLU()),
            ("max", MaxPool2D((2, 1), padding="same")),
            ("average", AvgPool2D(2, 1)),
            ("dropout", Dropout(0.5)),
            ("flatten", Flatten()),
            ("dense", Dense(24, 7, relu=True)),
            ("sigmoid", Sigmoid()),
            ("softmax", Softmax()),
        ]
    )
    g = graph.from_layer(net, (7, 9, 3))
    assert [(n.op, n.path, g.shape(n.output)) for n in g.nodes] == [
        ("CONV_2D", "conv", (6, 4, 4)),
        ("RELU", "relu", (6, 4, 4)),
        ("MAX_POOL_2D", "max", (3, 4, 4)),
        ("AVERAGE_POOL_2D", "average", (2, 3, 4)),
        ("RESHAPE", "flatten", (24,)),
        ("FULLY_CONNECTED", "dense", (7,)),
        ("LOGISTIC", "sigmoid", (7,)),
        ("SOFTMAX", "softmax", (7,)),
    ]
    before = [g.inputs[0], *(n.output for n in g.nodes)]
    assert [n.inputs[0] for n in g.nodes] == before[:-1]
    assert g.outputs == [before[-1]]
    assert g.nodes[2].attrs == {"kernel": (2, 1), "stride": (2, 1), "padding": "same"}
    assert g.data(g.nodes[4].inputs[1]).tolist() == [1, 24]
    assert g.data(g.nodes[5].inputs[1]).shape == (7, 24)
    assert g.nodes[5].attrs == {"activation": "RELU"}
    assert g.nodes[0].attrs["activation"] == "NONE"


def test_global_average_pooling_is_a_pool_and_a_reshape():
    g = graph.from_layer(GlobalAvgPool2D(), (5, 6, 3))
    assert [(n.op, g.shape(n.output)) for n in g.nodes] == [
        ("AVERAGE_POOL_2D", (1, 1, 3)),
        ("RESHAPE", (3,)),
    ]
    assert g.nodes[0].attrs == {"kernel": (5, 6), "stride": (5, 6), "padding": "valid"}


def test_shapes_agree_with_the_layers_on_every_network():
    for name in ("squeezenet", "deepsqueeze", "son_of_deepsqueeze"):
        net = models.build(name, (255, 300, 3), classes=5)
        g = graph.from_layer(net, (255, 300, 3))
        assert g.shape(g.nodes[-1].output) == net.out_shape((255, 300, 3)) == (5,)
        weights = [t.data for t in g.tensors if t.data is not None and t.dtype == "float32"]
        assert sum(a.size for a in weights) == net.count_params()


def test_tensors_have_names_of_their_own():
    g = graph.Graph([graph.Tensor("input", (1, 2, 2, 3))], inputs=[0])
    g.add("RELU", [g.add("RELU", [0], (2, 2, 3), "relu")], (2, 2, 3), "relu")
    assert [t.name for t in g.tensors] == ["input", "relu", "relu.2"]


def test_only_constants_have_values():
    g = graph.from_layer(Sequential([("dense", Dense(3, 2))]), (3,))
    with pytest.raises(ValueError, match="^dense is no constant$"):
        g.data(g.nodes[0].output)


def test_an_input_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="conv: wanted 3 channels, got 1"):
        graph.from_layer(Sequential([("conv", Conv2D(3, 4, 3))]), (8, 8, 1))


def test_multiply_adds_by_hand():
    net = Sequential([Conv2D(3, 4, (2, 3), (1, 2)), MaxPool2D(2), Flatten(), Dense(24, 7)])
    g = graph.from_layer(net, (7, 9, 3))
    assert graph.multiply_adds(g) == [6 * 4 * 4 * (2 * 3 * 3), 0, 0, 24 * 7]


def test_multiply_adds_of_squeezenet():
    g = graph.from_layer(models.build("squeezenet", (224, 224, 3)), (224, 224, 3))
    assert sum(graph.multiply_adds(g)) == 263_229_632


def test_the_summary(capsys):
    net = models.build("squeezenet", (224, 224, 3))
    graph.summary(net, (224, 224, 3))
    lines = capsys.readouterr().out.splitlines()
    cells = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert cells["conv1"] == ["conv1", "CONV_2D", "111x111x64", "1,792", "21,290,688"]
    assert cells["fire2/expand3"][2:4] == ["55x55x64", "9,280"]
    assert cells["pool1"] == ["pool1", "MAX_POOL_2D", "55x55x64"]
    assert cells["parameters"] == ["parameters", "726,087"]
    assert cells["multiply-adds"][:2] == ["multiply-adds", "263,229,632"]
    assert lines[-1] == "weights         2.77 MiB as float32, 0.69 MiB as int8"


def test_a_missing_row_names_the_operation_and_the_layer():
    g = graph.Graph([graph.Tensor("input", (1, 4))], inputs=[0])
    g.add("HARD_SWISH", [0], (4,), "block/swish")
    with pytest.raises(LookupError, match=r"^block/swish: no row for HARD_SWISH to count"):
        graph.multiply_adds(g)
    with pytest.raises(LookupError, match=r"to quantize \(has: A, B\)"):
        graph.row({"B": 1, "A": 2}, g.nodes[0], "quantize")
    assert graph.row({"HARD_SWISH": 5}, g.nodes[0], "quantize") == 5
