//! The tour through the demo: what to type, in order, and what comes back. The command line prints
//! it, and the tests run it as it is printed.

use std::fmt::Write as _;

use serde_json::json;

/// One stop. The commands of a tour share one bash session: later ones use variables of earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub title: String,
    /// Prints the answer's body, and its status alone on the last line.
    pub command: String,
    pub expect: Expect,
}

/// What a command prints if all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    pub status: u16,
    /// Part of the body; empty where there is none.
    pub contains: &'static str,
}

impl Expect {
    /// Is this the output of a command that went as told?
    pub fn met_by(&self, output: &str) -> bool {
        let output = output.trim_end();
        let (body, status) = output.rsplit_once('\n').unwrap_or(("", output));
        status == self.status.to_string() && body.contains(self.contains)
    }
}

/// The tour of the demo behind `gateway`, such as `http://127.0.0.1:3001`. It can be taken again: each
/// time signs up someone new.
pub fn tour(gateway: &str, admin_email: &str, admin_password: &str) -> Vec<Step> {
    let signup = user_body();
    let admin = quote(&json!({ "email": admin_email, "password": admin_password }).to_string());
    let new_flight =
        r#"'{"from":"LIS","to":"OSL","date":"2030-06-20","departs":"08:15","seats":150}'"#;
    let booking = r#"'{"flight_id":1,"seats":2}'"#;
    let as_user = r#"-H "Authorization: Bearer $TOKEN""#;
    let as_admin = r#"-H "Authorization: Bearer $ADMIN_TOKEN""#;
    let post = |path: &str, more: &str, body: &str| {
        let more = if more.is_empty() {
            String::new()
        } else {
            format!(" {more}")
        };
        format!("{CURL} {gateway}{path}{more} \\\n  -H 'Content-Type: application/json' -d {body}")
    };
    vec![
        step(
            "Look for a flight; anyone may",
            format!("{CURL} '{gateway}/flights/?from=LIS&to=BER'"),
            (200, r#""from":"LIS""#),
        ),
        step(
            "Sign up",
            format!(
                "EMAIL=ada.$(date +%s%N)@example.com\n{}",
                post("/auth/signup", "", &signup)
            ),
            (201, "customer"),
        ),
        step(
            "Sign in, and keep the token",
            format!(
                "{}\n{}",
                sign_in("TOKEN", &post("/auth/signin", "", &signup)),
                keep("USER_ID", "id")
            ),
            (200, "access_token"),
        ),
        step(
            "Book without a token: refused",
            post("/bookings", "", booking),
            (401, "unauthenticated"),
        ),
        step(
            "Book with it",
            post("/bookings", as_user, booking),
            (201, r#""flight_id":1"#),
        ),
        step(
            "See your bookings; the service learns from the gateway who you are",
            format!("{CURL} {gateway}/bookings {as_user}"),
            (200, r#""flight_id":1"#),
        ),
        step(
            "Add a flight as a customer: refused",
            post("/flights", as_user, new_flight),
            (403, "forbidden"),
        ),
        step(
            "The administrator signs in",
            sign_in("ADMIN_TOKEN", &post("/auth/signin", "", &admin)),
            (200, "access_token"),
        ),
        step(
            "... and lets you act for an airline",
            format!(
                "{CURL} -X PUT {gateway}/auth/admin/users/$USER_ID/roles/flight_company {as_admin}"
            ),
            (204, ""),
        ),
        step(
            "Sign in again: the new role is in the next token",
            sign_in("TOKEN", &post("/auth/signin", "", &signup)),
            (200, "flight_company"),
        ),
        step(
            "Add the flight",
            post("/flights", as_user, new_flight),
            (201, "flight_company"),
        ),
        step(
            "Look too often: 20 times in two minutes are allowed, then wait for Retry-After seconds",
            format!(
                "for LOOK in $(seq 25); do\n  ANSWER=$({CURL} {gateway}/flights/1)\n  \
                 case $ANSWER in *429) break ;; esac\ndone\necho \"$ANSWER\""
            ),
            (429, "rate_limited"),
        ),
    ]
}

/// The tour as a bash script.
pub fn print(steps: &[Step]) -> String {
    let mut out = String::new();
    for (index, step) in steps.iter().enumerate() {
        let Step {
            title,
            command,
            expect,
        } = step;
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "# {}. {title} ({})\n{command}\n",
            index + 1,
            expect.status
        );
    }
    out
}

fn step(title: &str, command: String, (status, contains): (u16, &'static str)) -> Step {
    Step {
        title: title.to_owned(),
        command,
        expect: Expect { status, contains },
    }
}

/// The answer goes to the screen and, with its token, to the variable `token`.
fn sign_in(token: &str, request: &str) -> String {
    format!(
        "ANSWER=$({request})\necho \"$ANSWER\"\n{}",
        keep(token, "access_token")
    )
}

/// Takes a string field of the last answer into a variable, with nothing but sed.
fn keep(variable: &str, field: &str) -> String {
    format!(r#"{variable}=$(echo "$ANSWER" | sed -n 's/.*"{field}":"\([^"]*\)".*/\1/p')"#)
}

fn user_body() -> String {
    r#"'{"email":"'$EMAIL'","password":"a seat by the window"}'"#.to_owned()
}

/// One word for the shell, whatever is in it.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Silent, and the status on a line of its own after the body.
const CURL: &str = r"curl -s -w '\n%{http_code}\n'";

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn bash(script: &str) -> String {
        let output = Command::new("bash").args(["-ec", script]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_whole_tour_is_sound_bash() {
        let steps = tour("http://127.0.0.1:3001", "root@example.com", "it's \"mine\"");
        bash(&format!("set -n\n{}", print(&steps)));
    }

    #[test]
    fn a_token_and_an_id_are_taken_from_an_answer() {
        let answer = r#"{"access_token":"a.b-c_d","refresh_token":"r","user":{"email":"a@b","id":"u1","roles":[]}}"#;
        let script = format!(
            "{}\n{}\necho \"$TOKEN $USER_ID\"",
            sign_in("TOKEN", &format!("echo {}; echo 200", quote(answer))),
            keep("USER_ID", "id"),
        );
        assert_eq!(bash(&script), format!("{answer}\n200\na.b-c_d u1\n"));
    }

    #[test]
    fn a_password_with_quotes_stays_one_word() {
        let password = r#"it's "mine" $HOME `id` \"#;
        assert_eq!(bash(&format!("printf %s {}", quote(password))), password);
    }

    #[test]
    fn an_expectation_asks_for_status_and_body() {
        let expect = Expect {
            status: 201,
            contains: "flight_id",
        };
        assert!(expect.met_by("{\"flight_id\":1}\n201\n"));
        assert!(!expect.met_by("{\"flight_id\":1}\n200\n"));
        assert!(!expect.met_by("{}\n201\n"));
        let empty = Expect {
            status: 204,
            contains: "",
        };
        assert!(empty.met_by("\n204\n"));
        assert!(!empty.met_by(""));
    }
}
