//! The text of a scrape, written family by family.

use super::Histogram;

/// The page as it grows.
#[derive(Debug, Default)]
pub struct Page {
    text: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Page {
    /// Begins a family; its samples follow.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        for part in [
            "# HELP ",
            name,
            " ",
            help,
            "\n# TYPE ",
            name,
            " ",
            kind,
            "\n",
        ] {
            self.push(part);
        }
    }

    /// One sample of the family.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Into<Number>) {
        self.push(name);
        self.labels(labels, None);
        self.value(value.into());
    }

    /// All samples of a histogram of the family.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let (buckets, all) = histogram.cumulative();
        for (bound, count) in buckets.chain([("+Inf", all)]) {
            self.push(name);
            self.push("_bucket");
            self.labels(labels, Some(bound));
            self.value(count.into());
        }
        self.push(name);
        self.push("_sum");
        self.labels(labels, None);
        self.value(histogram.sum().into());
        self.push(name);
        self.push("_count");
        self.labels(labels, None);
        self.value(all.into());
    }

    pub fn into_text(self) -> Vec<u8> {
        self.text
    }

    fn labels(&mut self, labels: &[(&str, &str)], le: Option<&str>) {
        let all = labels.iter().copied().chain(le.map(|le| ("le", le)));
        let mut sign = "{";
        for (name, value) in all {
            self.push(sign);
            sign = ",";
            self.push(name);
            self.push("=\"");
            self.escaped(value);
            self.push("\"");
        }
        if sign == "," {
            self.push("}");
        }
    }

    fn value(&mut self, value: Number) {
        self.push(" ");
        match value {
            Number::Whole(value) => self.push(itoa::Buffer::new().format(value)),
            Number::Real(value) => self.push(&value.to_string()),
        }
        self.push("\n");
    }

    fn escaped(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'\\' => self.push("\\\\"),
                b'"' => self.push("\\\""),
                b'\n' => self.push("\\n"),
                byte => self.text.push(byte),
            }
        }
    }

    fn push(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }
}

/// A sample's value.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    Whole(i64),
    Real(f64),
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_page_is_prometheus_text() {
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "Things.");
        page.sample(
            "a_total",
            &[("route", "/a/\"b\"\\c\nd"), ("status", "200")],
            7_u64,
        );
        page.sample("a_total", &[], 1.5);
        let histogram = Histogram::default();
        histogram.observe(Duration::from_millis(2));
        page.family("b_seconds", Kind::Histogram, "Times.");
        page.histogram("b_seconds", &[("route", "r")], &histogram);
        let text = String::from_utf8(page.into_text()).unwrap();
        let begins = "# HELP a_total Things.\n# TYPE a_total counter\n\
            a_total{route=\"/a/\\\"b\\\"\\\\c\\nd\",status=\"200\"} 7\na_total 1.5\n\
            # HELP b_seconds Times.\n# TYPE b_seconds histogram\n\
            b_seconds_bucket{route=\"r\",le=\"0.0001\"} 0\n";
        assert!(text.starts_with(begins), "{text}");
        let ends = "b_seconds_bucket{route=\"r\",le=\"120\"} 1\n\
            b_seconds_bucket{route=\"r\",le=\"+Inf\"} 1\n\
            b_seconds_sum{route=\"r\"} 0.002\nb_seconds_count{route=\"r\"} 1\n";
        assert!(text.ends_with(ends), "{text}");
    }
}
