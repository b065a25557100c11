//! The API's description: what it says is what the router does.

use super::*;

async fn document(site: &Site) -> Value {
    let request = Request::get("/auth/openapi.json");
    let answer = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    answer.json()
}

/// Each path with its methods, in capitals.
fn paths(document: &Value) -> Vec<(String, Vec<String>)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = |item: &Value| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| method.to_uppercase()).collect()
    };
    paths
        .map(|(path, item)| (path.clone(), methods(item)))
        .collect()
}

/// A path with something in place of its parameters.
fn filled(path: &str) -> String {
    path.replace("{id}", "1").replace("{role}", "nobody")
}

#[tokio::test]
async fn the_description_is_the_one_that_was_looked_at() {
    let document = document(&site()).await;
    let shown = serde_json::to_string_pretty(&document).unwrap();
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
        filters => [(r#""version": "[^"]+""#, r#""version": "[version]""#)],
    }, {
        insta::assert_snapshot!("openapi.json", shown);
    });
}

#[tokio::test]
async fn what_is_described_is_routed_with_these_methods_and_no_other() {
    let site = site();
    let document = document(&site).await;
    let mut looked_at = 0;
    for (path, methods) in paths(&document) {
        let path = filled(&path);
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let request = Request::builder().method(method).uri(&path);
            let answer = site.send(request.body(Body::empty()).unwrap()).await;
            let described = methods.iter().any(|described| described == method);
            match described {
                true => assert!(
                    ![404, 405].contains(&answer.status.as_u16()),
                    "{method} {path}"
                ),
                false => assert_eq!(answer.status, 405, "{method} {path}"),
            }
            looked_at += usize::from(described);
        }
    }
    assert!(looked_at >= 25, "only {looked_at}");
    // And the router has nothing that was not collected into the description.
    let router = include_str!("../mod.rs");
    assert!(router.contains(".routes(routes!(") && !router.contains(".route("));
}

#[tokio::test]
async fn who_needs_a_token_is_described_and_so_is_who_needs_to_be_an_admin() {
    let site = site();
    let document = document(&site).await;
    for (path, methods) in paths(&document) {
        for method in methods {
            let operation = &document["paths"][&path][method.to_lowercase()];
            let request = json_request(&method, &filled(&path), "{}");
            let answer = site.send(request).await;
            let needs_token = answer.status == 401 && answer.refusal().1 == "invalid_token";
            let says_so = operation["security"] == json!([{ "token": [] }]);
            assert_eq!(needs_token, says_so, "{method} {path}");
            assert_eq!(
                needs_token,
                !operation["responses"]["401"].is_null() && says_so
            );
            let for_admins = path.starts_with("/auth/admin/");
            let forbidden = operation["responses"]["403"].to_string();
            assert_eq!(for_admins, forbidden.contains("/forbidden"), "{path}");
        }
    }
}

#[tokio::test]
async fn a_body_has_the_fields_that_are_described_and_no_other() {
    let site = site();
    let document = document(&site).await;
    let (_, admin) = site.admin("root@example.com").await;
    let mut looked_at = 0;
    for (path, methods) in paths(&document) {
        for method in methods {
            let operation = &document["paths"][&path][method.to_lowercase()];
            let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let Some(name) = body.as_str() else { continue };
            let schema = document.pointer(name.trim_start_matches('#')).unwrap();
            assert_eq!(schema["additionalProperties"], false, "{name}");
            let send = async |body: &Value| {
                let mut request = json_request(&method, &filled(&path), &body.to_string());
                let bearer = format!("Bearer {admin}").parse().unwrap();
                request.headers_mut().insert("authorization", bearer);
                site.send(request).await
            };
            let fields = schema["properties"].as_object().unwrap();
            // Of a type that none is, so that nothing changes and yet each name is read first.
            let all: serde_json::Map<_, _> = fields
                .keys()
                .map(|name| (name.clone(), json!({})))
                .collect();
            let known = send(&json!(all)).await;
            assert_eq!(known.refusal(), refused(422, "invalid_field"), "{path}");
            let mut more = all.clone();
            more.insert("power".to_owned(), json!(9));
            let unknown = send(&json!(more)).await;
            assert_eq!(unknown.refusal(), refused(422, "unknown_field"), "{path}");
            let required = schema["required"].as_array().unwrap();
            let missing = send(&json!({})).await;
            let first = required[0].as_str().unwrap();
            assert!(
                missing.body.contains(&format!("`{first}` is missing")),
                "{}",
                missing.body
            );
            looked_at += 1;
        }
    }
    assert_eq!(looked_at, 7);
}
