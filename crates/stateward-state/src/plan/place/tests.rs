use super::*;

fn place(text: &str) -> Place {
    Place::parse(text).expect("an address")
}

#[test]
fn places_are_displayed_as_they_are_read() {
    for text in [
        "*",
        "x.y",
        "x.y[0]",
        "x.y[\"a.b]\\\"[\"]",
        "data.x.y",
        "module.a",
        "module.a[\"x\"].module.b[1].data.x.y[\"k\"]",
        "output.o",
    ] {
        assert_eq!(place(text).to_string(), text);
    }
    assert_eq!(place("x.y[0] (deposed 0123abcd)"), place("x.y[0]"));
    assert_eq!(place("x.y[\" (deposed a)\"]").to_string(), "x.y[\" (deposed a)\"]");
}

#[test]
fn what_is_no_address_is_refused() {
    for text in [
        "",
        "x",
        "x.",
        ".x.y",
        "x.y.z",
        "data.x",
        "module",
        "x.y[",
        "x.y[]",
        "x.y[\"a]",
        "output.o[0]",
        "module.a.output.o",
        "x[0].y",
    ] {
        assert_eq!(Place::parse(text), Err(NotAPlace(text.into())));
    }
}

#[test]
fn a_key_that_is_left_out_means_any() {
    for (wide, narrow) in [
        ("*", "x.y[0]"),
        ("*", "output.o"),
        ("x.y", "x.y[0]"),
        ("x.y", "x.y"),
        ("module.a", "module.a[\"k\"].module.b.x.y"),
        ("module.a.x.y", "module.a[0].x.y[1]"),
        ("module.a[0]", "module.a[0].data.x.y"),
    ] {
        assert!(place(wide).covers(&place(narrow)), "{wide} {narrow}");
        assert!(place(narrow).overlaps(&place(wide)) && place(wide).overlaps(&place(narrow)), "{wide} {narrow}");
    }
    for (one, other) in [
        ("x.y[0]", "x.y[1]"),
        ("x.y", "x.z"),
        ("x.y", "data.x.y"),
        ("x.y", "module.a.x.y"),
        ("module.a[0]", "module.a[1].x.y"),
        ("module.a", "module.b.x.y"),
        ("module.a", "output.o"),
        ("output.o", "output.p"),
    ] {
        assert!(!place(one).overlaps(&place(other)) && !place(other).overlaps(&place(one)), "{one} {other}");
    }
    assert!(!place("x.y[0]").covers(&place("x.y")) && place("x.y[0]").overlaps(&place("x.y")));
    assert!(place("module.a[0].x.y").overlaps(&place("module.a.x.y[1]")));
}

#[test]
fn a_set_finds_what_its_places_find() {
    let texts = [
        "*",
        "x.y",
        "x.y[0]",
        "x.y[1]",
        "module.a",
        "module.a[0]",
        "module.a[0].x.y",
        "module.a.x.y[0]",
        "output.o",
        "data.x.y",
    ];
    for mask in 0_u32..1 << texts.len() {
        let chosen: Vec<_> = (0..texts.len()).filter(|bit| mask >> bit & 1 == 1).map(|bit| place(texts[bit])).collect();
        let set: Places = chosen.iter().cloned().collect();
        assert_eq!(set.len(), chosen.len());
        for text in texts {
            let one = place(text);
            assert_eq!(set.covers(text), chosen.iter().any(|mine| mine.covers(&one)));
            let single: Places = [one.clone()].into_iter().collect();
            let expected = chosen.iter().any(|mine| mine.overlaps(&one));
            assert_eq!((set.overlap(&single).is_some(), single.overlap(&set).is_some()), (expected, expected));
        }
    }
}
