//! What an application sees through gcp_auth or google-cloud-auth: prints it as JSON.
//!
//! Usage: google-client LIBRARY AUDIENCE SCOPE...

use google_cloud_auth::credentials::{Builder, idtoken};
use serde_json::{Map, Value, json};
use std::error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [library, audience, scopes @ ..] = &arguments[..] else {
        return Err("usage: google-client LIBRARY AUDIENCE SCOPE...".into());
    };
    let seen = match library.as_str() {
        "gcp_auth" => gcp_auth(scopes).await,
        _ => google_cloud_auth(audience, scopes).await?,
    };
    println!("{}", Value::from(seen));
    Ok(())
}

/// It asks for the default token, whatever the scopes, and has no ID tokens.
async fn gcp_auth(scopes: &[String]) -> Map<String, Value> {
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let mut seen = Map::new();
    let provider = match gcp_auth::provider().await {
        Ok(provider) => provider,
        Err(error) => {
            seen.insert("available".into(), json!(false));
            seen.insert("accessTokenError".into(), json!(chain(&error)));
            return seen;
        }
    };
    seen.insert("available".into(), json!(true));
    match provider.project_id().await {
        Ok(project) => seen.insert("projectID".into(), json!(*project)),
        Err(error) => seen.insert("projectError".into(), json!(chain(&error))),
    };
    match provider.token(&scopes).await {
        Ok(token) => seen.insert("accessToken".into(), json!(token.as_str())),
        Err(error) => seen.insert("accessTokenError".into(), json!(chain(&error))),
    };
    seen
}

async fn google_cloud_auth(audience: &str, scopes: &[String]) -> Result<Map<String, Value>, Box<dyn Error>> {
    let mut seen = Map::new();
    let credentials = Builder::default().with_scopes(scopes).build_access_token_credentials()?;
    match credentials.access_token().await {
        Ok(token) => seen.insert("accessToken".into(), json!(token.token)),
        Err(error) => seen.insert("accessTokenError".into(), json!(chain(&error))),
    };
    let credentials = idtoken::Builder::new(audience).build()?;
    match credentials.id_token().await {
        Ok(token) => seen.insert("idToken".into(), json!(token)),
        Err(error) => seen.insert("idTokenError".into(), json!(chain(&error))),
    };
    seen.insert("available".into(), json!(true));
    Ok(seen)
}

/// An error with all its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
