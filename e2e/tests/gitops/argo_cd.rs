//! Argo CD's way of asking a Lua script for the health of an object.
//!
//! Argo CD runs Lua 5.1 with the base and table libraries and a clock, nothing else, and hands the object over as the global
//! `obj` with its nulls left out. The interpreter here is the reference one of that version, with even less: a script that
//! works here works there.

use std::path::PathBuf;

use headgate_e2e::workspace;
use mlua::{Lua, LuaOptions, StdLib, Table};
use serde::Deserialize;
use serde_json::Value;

/// What Argo CD shows.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// `Healthy`, `Progressing`, `Degraded`, `Suspended`, …
    pub status: String,
    /// Why.
    pub message: String,
}

/// The script.
pub fn script() -> PathBuf {
    workspace::root().join("docs/gitops/health.lua")
}

/// What `script` makes of `object`.
pub fn health(script: &str, object: &Value) -> Result<Health, mlua::Error> {
    let lua = Lua::new_with(StdLib::TABLE, LuaOptions::default())?;
    lua.globals().set("obj", to_lua(&lua, object)?)?;
    let verdict: Table = lua.load(script).eval()?;
    Ok(Health {
        status: verdict.get("status")?,
        message: verdict.get("message")?,
    })
}

/// Numbers are Lua's one kind of number, nulls are not there: as Argo CD converts an object.
fn to_lua(lua: &Lua, value: &Value) -> Result<mlua::Value, mlua::Error> {
    Ok(match value {
        Value::Null => mlua::Value::Nil,
        Value::Bool(value) => mlua::Value::Boolean(*value),
        Value::Number(number) => mlua::Value::Number(number.as_f64().expect("a JSON number fits")),
        Value::String(text) => mlua::Value::String(lua.create_string(text)?),
        Value::Array(items) => {
            let table = lua.create_table()?;
            for item in items {
                table.push(to_lua(lua, item)?)?;
            }
            mlua::Value::Table(table)
        }
        Value::Object(fields) => {
            let table = lua.create_table()?;
            for (name, field) in fields {
                table.set(name.as_str(), to_lua(lua, field)?)?;
            }
            mlua::Value::Table(table)
        }
    })
}
