//! Everything that a scene plays with: the city, its server, and a way to hand somebody a tablet or a desk.

use super::claims::tell;
use super::crew::Crew;
use super::demo_clock::DemoClock;
use super::load::{self, City};
use super::office::Office;
use super::server::Server;
use super::weather::Weather;
use anyhow::{Context as _, Result};
use reqwest::Client;
use serde_json::{Value, json};
use server::admin::import::record_id;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::RecordId;

/// Whose tablets reach the server through the weather.
const UNDER_WEATHER: [&str; 2] = ["st-f3", "st-h1"];

/// The world of one field day.
#[derive(Debug)]
pub struct World {
    /// Where everything of this day lies.
    pub folder: PathBuf,
    /// The city as it was loaded.
    pub city: City,
    /// The real server.
    pub server: Server,
    /// The network of those who get into a bad one.
    pub weather: Weather,
    /// The day, in the city's zone.
    pub day: DemoClock,
    /// When it began.
    pub began: UnixMillis,
    client: Client,
}

impl World {
    /// Loads the city and starts the server on it.
    pub async fn begin(folder: &Path, now: UnixMillis) -> Result<Self> {
        // A second installation fails because of the first one, which is as good.
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let city = load::load(folder, now).await?;
        let client = Client::new();
        let server = Server::start(folder, &client).await?;
        let weather = Weather::over(&server.url).await?;
        let day = DemoClock::new(now, "Asia/Tokyo")?;
        Ok(Self { folder: folder.to_owned(), city, server, weather, day, began: now, client })
    }

    /// Signs somebody in at the office.
    pub async fn office(&self, tenant: &str, login: &str) -> Result<Office> {
        let password = self.city.password(tenant, login)?;
        Office::sign_in(&self.client, &self.server.url, tenant, login, password).await
    }

    /// Hands somebody a tablet whose wall clock is off by so many milliseconds: the bureau's administrator makes a
    /// code, the tablet enrols with it.
    pub async fn tablet(&self, tenant: &str, login: &str, clock_off_ms: i64) -> Result<Crew> {
        let admin = self.office(tenant, &format!("admin-{tenant}")).await?;
        let user = self.city.user(tenant, login)?;
        let made = admin.post("/v1/admin/codes", &json!({ "user": user })).await?;
        let code = made["code"].as_str().context("a code")?;
        let folder = self.folder.join("tablets").join(login);
        let url =
            if UNDER_WEATHER.contains(&login) { self.weather.url() } else { &self.server.url };
        Crew::enrol(url, &folder, tenant, login, code, clock_off_ms).await
    }

    /// The day so many days from today.
    pub fn date(&self, days: i64) -> Result<Value> {
        self.day.place(&Value::from(format!("@d{days:+}")))
    }

    /// The instant so many minutes before the day began.
    pub fn minutes_ago(&self, minutes: i64) -> Value {
        Value::from(self.began.plus(-minutes * 60_000).to_string())
    }

    /// The id of what an office calls `type:key`.
    pub fn record(tenant: &str, name: &str) -> Result<RecordId> {
        Ok(record_id(&tenant.parse()?, name))
    }

    /// Every record of a bucket that somebody at the office may read, with its revision.
    pub async fn listed(office: &Office, bucket: &str) -> Result<BTreeMap<RecordId, i64>> {
        let mut all = BTreeMap::new();
        let mut after = None;
        loop {
            let page = after.map_or(String::new(), |after| format!("&after={after}"));
            let list = office.get(&format!("/v1/records?bucket={bucket}&limit=200{page}")).await?;
            for row in list["records"].as_array().context("records")? {
                all.insert(
                    serde_json::from_value(row["rec"].clone())?,
                    row["rv"].as_i64().context("rv")?,
                );
            }
            match list["next"].as_i64() {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }
}

/// A record as the office sees it.
pub async fn shown(office: &Office, rec: RecordId) -> Result<Value> {
    office.get(&format!("/v1/records/{rec}")).await
}

impl World {
    /// Tells who may sign in, and how to look around.
    pub fn tell_where_to_look(&self) {
        let url = &self.server.url;
        tell("\nThe server stays up until Ctrl-C. Look around:");
        tell(&format!(
            "  TOKEN=$(curl -s {url}/v1/sessions -H 'content-type: application/json' \\\n    \
             -d '{{\"tenant\":\"fire\",\"user\":\"st-f2\",\"password\":\"field-day-st-f2\"}}' | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')"
        ));
        for path in ["/v1/conflicts", "/v1/records?type=fire_inspection", "/v1/quarantine"] {
            tell(&format!("  curl -s '{url}{path}' -H \"authorization: Bearer $TOKEN\""));
        }
        tell(&format!(
            "  target/debug/genba-tablet --dir {}/st-f1 list",
            self.folder.join("tablets").display()
        ));
        tell("  Logins (the password is field-day- and the login):");
        for (tenant, bureau) in &self.city.bureaus {
            for person in &bureau.people {
                tell(&format!(
                    "    {tenant:<11} {:<18} {}  {}",
                    person.login, person.name, person.position
                ));
            }
        }
    }
}
