from vgan.metrics.spread import evenly_spaced


def test_places_reach_from_the_first_clip_to_the_last_evenly():
    assert evenly_spaced(101, 5).tolist() == [0, 25, 50, 75, 100]


def test_where_there_are_no_more_clips_than_wanted_each_is_taken_once():
    assert evenly_spaced(3, 8).tolist() == [0, 1, 2]
    assert evenly_spaced(0, 8).tolist() == []


def test_no_place_comes_twice():
    assert all(len(set(evenly_spaced(64, n).tolist())) == n for n in range(1, 65))
