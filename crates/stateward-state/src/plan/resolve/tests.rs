use super::*;

#[test]
fn beginnings_of_references_are_passed_over() {
    let check = |references: &[&str], expected: &[&str]| {
        let references: Vec<String> = references.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(heads(&references), expected, "{references:?}");
    };
    check(&["x.y[\"a.b\"].z", "x.y[\"a.b\"]", "x.y", "local.l"], &["x.y[\"a.b\"].z", "local.l"]);
    check(&["x.y.z", "x.y", "x.y"], &["x.y.z", "x.y"]);
    check(&["module.m[\"a\"].o.p", "module.m[\"a\"].o", "module.m[\"a\"]"], &["module.m[\"a\"].o.p"]);
    check(&["module.m[\"a\"].o", "module.m[\"a\"]", "module.m"], &["module.m[\"a\"].o", "module.m"]);
    check(&["module.m.o", "module.m", "module.m"], &["module.m.o", "module.m"]);
    check(&["module.m[0]", "module.m"], &["module.m[0]", "module.m"]);
}
