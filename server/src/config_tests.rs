//! The settings: what is taken, what is refused and with which words.

use super::*;
use std::path::Path;

fn parsed(text: &str) -> Config {
    Config::parse(text, Path::new("genba.toml")).expect("a configuration")
}

#[test]
fn the_defaults_listen_on_loopback_and_hold() {
    let config = Config::default();
    assert_eq!(config.listen.addr.to_string(), "127.0.0.1:8080");
    config.check().expect("the defaults hold");
}

#[test]
fn a_whole_file_is_read() {
    let config = parsed(
        r#"
        public_origin = "https://genba.example"
        [listen]
        addr = "0.0.0.0:443"
        [tls]
        cert = "c.pem"
        key = "k.pem"
        [database]
        url = "postgres://db/genba"
        [[tenants]]
        id = "fire"
        name_ja = "消防局"
        name_en = "Fire bureau"
        "#,
    );
    config.check().expect("it holds");
    assert_eq!(config.issuer(), "https://genba.example");
    assert_eq!(config.tenants.first().expect("one").time_zone, "Asia/Tokyo");
}

#[test]
fn each_mistake_is_named_with_a_way_out() {
    let tenant =
        |zone: &str| format!("[[tenants]]\nid='a'\nname_ja='a'\nname_en='a'\ntime_zone='{zone}'\n");
    let cases = [
        ("[listen]\naddr='0.0.0.0:1'".to_owned(), "there is no TLS"),
        ("[metrics]\naddr='8.8.8.8:1'".to_owned(), "loopback or private"),
        ("public_origin='genba.example'".to_owned(), "not an origin"),
        ("public_origin='https://a/b'".to_owned(), "not an origin"),
        ("[database]\nread_connections=0".to_owned(), "1 to 64"),
        ("[listen]\nheader_timeout_ms=5".to_owned(), "100 to 60000"),
        ("[listen]\ndrain_delay_s=61".to_owned(), "0 to 60"),
        ("[objects]\nkeep_unnamed_days=3651".to_owned(), "0 to 3650"),
        ("[objects]\nkeep_remains_s=59".to_owned(), "60 to 604800"),
        ("[objects]\nkeep_remains_s=604801".to_owned(), "60 to 604800"),
        ("[objects]\ncollect_every_s=0".to_owned(), "1 to 86400"),
        ("[objects]\ncollect_every_s=86401".to_owned(), "1 to 86400"),
        ("[objects]\nurl='photos'".to_owned(), "objects.url"),
        ("[renders]\nat_once=9".to_owned(), "0 to 8"),
        (tenant("Asia/Atlantis"), "unknown"),
        (tenant("Asia/Tokyo").repeat(2), "listed twice"),
    ];
    for (text, told) in cases {
        let error = parsed(&text).check().expect_err(&text).to_string();
        assert!(error.contains(told), "{text}: {error}");
    }
}

#[test]
fn the_bounds_of_what_is_kept_are_within() {
    for (days, remains_s, every_s) in [(0, 60, 1), (3_650, 604_800, 86_400)] {
        let text = format!(
            "[objects]\nkeep_unnamed_days={days}\nkeep_remains_s={remains_s}\ncollect_every_s={every_s}"
        );
        parsed(&text).check().expect(&text);
    }
}

#[test]
fn an_unknown_setting_is_refused_and_named() {
    let error = Config::parse("lisen = 1", Path::new("genba.toml")).expect_err("a typing mistake");
    assert!(error.to_string().contains("lisen"), "{error}");
}

#[test]
fn variables_win_over_the_file_and_are_checked() {
    let config = parsed("[listen]\naddr='127.0.0.1:1'");
    let look = |name: &str| (name == "GENBA_LISTEN_ADDR").then(|| "127.0.0.1:2".to_owned());
    let config = config.with_variables(look).expect("good");
    assert_eq!(config.listen.addr.port(), 2);
    let most = |name: &str| (name == "GENBA_RENDERS_AT_ONCE").then(|| "8".to_owned());
    let config = config.with_variables(most).expect("good");
    assert_eq!((config.renders.at_once, config.check().is_ok()), (8, true));
    let bad = |name: &str| (name == "GENBA_LISTEN_INSECURE").then(|| "yes".to_owned());
    let error = config.with_variables(bad).expect_err("not a bool").to_string();
    assert!(error.contains("GENBA_LISTEN_INSECURE"), "{error}");
}
