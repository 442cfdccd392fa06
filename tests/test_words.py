from omokage.sheet.words import quoted_place, visible


def test_a_name_breaks_no_line_and_turns_no_words_round():
    assert visible("a\u202eb\u2066c\u2028d\n\x1b") == "a\\u202eb\\u2066c\\u2028d␊␛"
    assert visible("مثال 👩\u200d🚀") == "مثال 👩\u200d🚀"  # what a script or a picture needs stays
    assert quoted_place("a\u2069/b").count("\N{POP DIRECTIONAL ISOLATE}") == 2
