"""Messages arrive whole, and who falls silent in the middle of one is not waited for for ever."""

import socket
import threading

import numpy as np
import pytest

from cleanplate.engine.channel import Channel, ChannelClosedError, ChannelStalledError


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_arrays_and_shared_objects_arrive(ends):
    one, other = map(Channel, ends)
    here, there = object(), object()
    picture = np.arange(3_000_000, dtype=np.uint8)
    sender = threading.Thread(target=one.send, args=(("picture", picture, here), [here]), daemon=True)
    sender.start()
    name, received, shared = other.receive([there], patience_seconds=60)
    sender.join(60)
    assert name == "picture"
    assert shared is there
    assert np.array_equal(received, picture)


def test_who_is_gone_is_told_from_who_falls_silent(ends):
    ours, theirs = ends
    channel = Channel(ours)
    with pytest.raises(ChannelStalledError):
        channel.receive(patience_seconds=0.01)
    theirs.sendall(b"half a message")
    with pytest.raises(ChannelStalledError):
        channel.receive(patience_seconds=0.01)
    theirs.close()
    with pytest.raises(ChannelClosedError) as caught:
        channel.receive(patience_seconds=60)
    assert not isinstance(caught.value, ChannelStalledError)
