//! `report.html` in a real browser: it asks for nothing, complains of nothing, fits phones and paper,
//! and can be read in both themes. `VLCLIP_BROWSER_OUT=DIR` leaves pictures of what was seen.

mod chromium;
mod fill;
mod shop;

use chromium::{Browser, Tab, View};
use eval::{Card, Embeddings, EvaluateOptions, Gallery, Qrels, Report, SearchOptions, Subject};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

const PHONE: u32 = 390;
const DESK: u32 = 1280;

/// The page's own address is the only one asked for, and the console stays empty.
fn assert_quiet(tab: &Tab<'_>, page: &Path) {
    let own = format!("file://{}", page.display());
    let foreign: Vec<&String> = tab
        .observed
        .requests
        .iter()
        .filter(|url| **url != own && !url.starts_with("data:"))
        .collect();
    assert!(foreign.is_empty(), "the page asked for {foreign:?}");
    assert!(tab.observed.requests.contains(&own), "requests are seen: {:?}", tab.observed.requests);
    assert!(tab.observed.complaints.is_empty(), "{:?}", tab.observed.complaints);
}

/// Nothing sticks out to the right, but what stands in a box that scrolls by itself.
fn assert_fits(tab: &mut Tab<'_>) {
    let widths = tab.eval("[document.documentElement.scrollWidth, innerWidth]");
    assert!(
        widths[0].as_u64() <= widths[1].as_u64(),
        "{widths}: the page is wider than its window"
    );
}

/// WCAG's contrast of every text with what is behind it: at least 4.5, or 3 for large text.
const CONTRASTS: &str = r#"(() => {
  const rgba = text => { const n = text.match(/[\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const light = c => c.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => {
    for (let at = node; at; at = at.parentElement) {
      const c = rgba(getComputedStyle(at).backgroundColor);
      if (c[3] === 1) return c;
    }
    return [255, 255, 255, 1];
  };
  const poor = []; let seen = 0;
  for (const node of document.body.querySelectorAll('*')) {
    const own = [...node.childNodes].some(c => c.nodeType === 3 && c.textContent.trim());
    if (!own || node.closest('.spoken') || node.tagName === 'title') continue;
    const style = getComputedStyle(node);
    const ink = rgba(node.tagName === 'text' ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(node))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    seen += 1;
    if (contrast < (size >= 24 ? 3 : 4.5)) poor.push([node.tagName, node.className, node.textContent.slice(0, 30), contrast]);
  }
  return {seen, poor};
})()"#;

/// What a listener or a keyboard needs: named pictures and drawings, tables with headers, one title,
/// headings without gaps, scrolling boxes that can be reached, distinct ids.
const UNREACHABLE: &str = r#"(() => {
  const wrong = [];
  const all = (selector, fine, what) => { for (const node of document.querySelectorAll(selector))
    if (!fine(node)) wrong.push(what + ': ' + node.outerHTML.slice(0, 120)); };
  all('img', n => n.alt && n.naturalWidth > 0, 'picture without text or that does not load');
  all('svg', n => n.getAttribute('aria-label') || n.closest('[aria-hidden=true]'), 'drawing without words');
  all('table', n => n.querySelector('thead th[scope=col]') && n.querySelector('tbody th[scope=row]'), 'table without headers');
  all('th', n => n.scope, 'header of nothing');
  all('.scroll', n => n.tabIndex === 0 && n.getAttribute('aria-label'), 'box that a keyboard cannot scroll');
  all('a', n => document.querySelector(CSS.escape ? '#' + CSS.escape(n.hash.slice(1)) : n.hash), 'link to nothing');
  let level = 0;
  all('h1,h2,h3,h4', n => { const now = +n.tagName[1]; const fine = now <= level + 1; level = now; return fine; }, 'heading that skips a level');
  const ids = [...document.querySelectorAll('[id]')].map(n => n.id);
  if (new Set(ids).size !== ids.length) wrong.push('ids that appear twice');
  if (document.querySelectorAll('h1').length !== 1 || !document.documentElement.lang) wrong.push('no title or language');
  return wrong;
})()"#;

fn keep(name: &str, bytes: impl FnOnce() -> Vec<u8>) {
    if let Some(dir) = std::env::var_os("VLCLIP_BROWSER_OUT") {
        std::fs::create_dir_all(&dir).expect("makes the folder");
        std::fs::write(Path::new(&dir).join(name), bytes()).expect("writes");
    }
}

#[test]
fn opens_on_desks_and_phones_by_day_and_night() {
    let Some(mut browser) = Browser::start() else { return };
    let made = shop::made();
    let dir = tempfile::tempdir().expect("temporary folder");
    made.report.write(dir.path(), &made.rankings, &made.galleries).expect("writes");
    let page = dir.path().join("report.html");
    let size = std::fs::metadata(&page).expect("written").len();
    assert!(size < 4 << 20, "{size} bytes");
    keep("report.html", || std::fs::read(&page).expect("reads"));

    for (width, theme) in [(DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")] {
        let mut tab = browser.open(&page, View { width, theme, media: "screen" });
        keep(&format!("{width}-{theme}.png"), || tab.picture());
        assert_fits(&mut tab);
        let found = tab.eval("[...document.querySelectorAll('section')].map(node => node.id)");
        let expected = [
            "overview",
            "task-colour",
            "task-image_to_text",
            "task-similar_items",
            "task-text_to_image",
            "space",
            "protocol",
        ];
        assert_eq!(found, json!(expected));
        for (selector, least) in [
            ("#overview .card", 4),
            ("table.metrics tbody tr", 60),
            ("table.slices tbody tr", 40),
            ("figure.chart svg", 24),
            ("#task-text_to_image .example", 8),
            ("#task-text_to_image .example img", 8 * 6),
            ("table.changed tbody tr", 8),
            ("#space dl.space > div", 6),
            ("#protocol dl.terms dt", 25),
            ("#protocol table.tasks tbody tr", 4),
            (".delta.better", 1),
        ] {
            let found = tab.eval(&format!("document.querySelectorAll('{selector}').length"));
            assert!(found.as_u64() >= Some(least), "{selector}: {found} of at least {least}");
        }
        let page_is_dark =
            tab.eval("getComputedStyle(document.body).backgroundColor") == "rgb(19, 21, 24)";
        assert_eq!(page_is_dark, theme == "dark");
        let contrasts = tab.eval(CONTRASTS);
        assert!(contrasts["seen"].as_u64() > Some(500), "{}", contrasts["seen"]);
        assert_eq!(contrasts["poor"], json!([]), "{width} {theme}");
        assert_eq!(tab.eval(UNREACHABLE), json!([]));
        assert_quiet(&tab, &page);
    }

    // Paper is light whatever the screen is; A4 less its margins is about 700 pixels wide.
    let mut tab = browser.open(&page, View { width: 703, theme: "dark", media: "print" });
    assert_fits(&mut tab);
    assert_eq!(tab.eval("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)");
    assert_eq!(tab.eval(CONTRASTS)["poor"], json!([]));
    let wide = "[...document.querySelectorAll('.scroll')].filter(node => node.scrollWidth > node.clientWidth + 1).map(node => node.ariaLabel)";
    assert_eq!(tab.eval(wide), json!([]), "tables that paper would cut");
    let paper = tab.paper();
    assert!(paper.starts_with(b"%PDF-"));
    keep("paper.pdf", || paper);
    assert_quiet(&tab, &page);
}

#[test]
fn hostile_texts_stay_texts() {
    let Some(mut browser) = Browser::start() else { return };
    let hostile = [
        "<script>document.title = 'taken'</script>".to_owned(),
        "\"><img src=x onerror=\"document.title='taken'\">".to_owned(),
        "</style></title><svg onload=document.title='taken'>".to_owned(),
        "'); document.title = 'taken'; ('".to_owned(),
        "حذاء رياضي أحمر من الجلد \u{202e}desrever".to_owned(),
        "W".repeat(3000),
        "{{ 7 * 7 }} &lt;b&gt; &amp; %20 \u{0} \u{7}".to_owned(),
        "https://example.com/".to_owned() + &"path/".repeat(80),
    ];
    let rows = (0..hostile.len()).flat_map(|at| {
        let angle = at as f32;
        [angle.cos(), angle.sin()]
    });
    let embeddings = Embeddings::normalised(hostile.to_vec(), 2, rows.collect()).expect("valid");
    let qrels = Qrels::new(hostile.iter().map(|id| (id.clone(), id.clone(), 1))).expect("distinct");
    let ranking = eval::search(&embeddings, &embeddings, &qrels, &SearchOptions::new(8));
    let ranking = ranking.expect("valid");
    let labels = |column: &str| eval::Labels {
        column: column.into(),
        values: hostile.iter().cloned().map(Some).collect(),
    };
    let options = EvaluateOptions {
        slices: vec![labels(&hostile[0]), labels(&hostile[5])],
        examples: 4,
        description: hostile[1].clone(),
        ..EvaluateOptions::new(&[1, 5])
    };
    let mut task = eval::evaluate(&ranking, &options).expect("valid");
    fill::task(&mut task, &ranking, &options);
    let subject = Subject {
        model: hostile[0].clone(),
        data: hostile[7].clone(),
        command: hostile[1].clone(),
        hashes: BTreeMap::from([(hostile[2].clone(), hostile[5].clone())]),
        data_hashes: BTreeMap::from([(hostile[4].clone(), hostile[3].clone())]),
    };
    let tasks = BTreeMap::from([("t".to_owned(), task)]);
    let report = Report::new(subject, &options.bootstrap, tasks).expect("usable name");
    let card = |(id, picture): (&String, &[u8])| {
        (id.clone(), Card { text: Some(id.clone()), picture: Some(picture.to_vec()) })
    };
    // A script that says it is a picture, and a picture of 100 KiB.
    let large = [&[0xff, 0xd8, 0xff][..], &[0; 100 << 10]].concat();
    let pictures = [b"<svg onload=alert(1)>".as_slice(), &large];
    let cards = || hostile.iter().zip(pictures.into_iter().cycle()).map(card).collect();
    let gallery = Gallery { queries: cards(), items: cards() };
    let dir = tempfile::tempdir().expect("temporary folder");
    let page = dir.path().join("report.html");
    std::fs::write(&page, report.to_html(&BTreeMap::from([("t".into(), gallery)])))
        .expect("writes");
    for (width, theme) in [(PHONE, "light"), (DESK, "dark")] {
        let mut tab = browser.open(&page, View { width, theme, media: "screen" });
        keep(&format!("hostile-{width}.png"), || tab.picture());
        assert_fits(&mut tab);
        let title = tab.eval("document.title");
        assert_eq!(title, format!("{} · retrieval report", hostile[0]));
        assert_eq!(tab.eval("document.querySelectorAll('script, img, iframe, object').length"), 0);
        assert_eq!(tab.eval("document.querySelector('h1').textContent"), hostile[0]);
        let missing =
            tab.eval("[...document.querySelectorAll('.missing')].map(node => node.textContent)");
        assert!(missing.to_string().contains("picture too large"), "{missing}");
        assert!(missing.to_string().contains("picture is no JPEG"), "{missing}");
        assert_eq!(tab.eval(UNREACHABLE), json!([]));
        assert_quiet(&tab, &page);
    }
}

#[test]
fn says_what_was_not_computed() {
    let Some(mut browser) = Browser::start() else { return };
    let ids = vec!["a".to_owned(), "b".to_owned()];
    // Equal rows: everything is tied.
    let embeddings = Embeddings::normalised(ids, 2, vec![1.0, 0.0, 1.0, 0.0]).expect("valid");
    let qrels = Qrels::new([("a", "a", 1), ("b", "b", 1)]).expect("distinct");
    let ranking = eval::search(&embeddings, &embeddings, &qrels, &SearchOptions::new(2));
    let task =
        eval::evaluate(&ranking.expect("valid"), &EvaluateOptions::new(&[1])).expect("valid");
    let tasks = BTreeMap::from([("bare".to_owned(), task)]);
    let report = Report::new(Subject::default(), &eval::Bootstrap::default(), tasks);
    let dir = tempfile::tempdir().expect("temporary folder");
    let page = dir.path().join("report.html");
    let html = report.expect("usable name").to_html(&BTreeMap::new());
    std::fs::write(&page, html).expect("writes");
    let mut tab = browser.open(&page, View { width: PHONE, theme: "light", media: "screen" });
    keep("bare.png", || tab.picture());
    assert_fits(&mut tab);
    let text = tab.eval("document.body.textContent");
    let text = text.as_str().expect("text");
    for expected in [
        "Data not stated",
        "No baseline was given",
        "Not computed: difference to a baseline",
        "Not computed: the distribution of scores",
        "the queries were not labelled by any column",
        "no examples were asked for",
        "Not computed: the shape of the embedding space",
        "In bare equal scores decide: hits@1 is 0.500, and between 0.000 and 1.000",
    ] {
        assert!(text.contains(expected), "missing `{expected}` in\n{text}");
    }
    assert_quiet(&tab, &page);
}
