-- Argo CD's health check of LLMProvider, RoutePolicy, VirtualKey, Budget and GuardrailPolicy (headgate.dev).
--
-- One script for all five, since they report alike. It needs no standard library and no clock: how long something may
-- take is decided by the operator, which turns Reconciling into Stalled. Where this file goes: docs/gitops.md.

local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is_true(type)
  return conditions[type] ~= nil and conditions[type].status == "True"
end

local function health(code, message)
  return { status = code, message = message or "" }
end

-- `Reason: message` of the first condition of these that is there and has this value.
local function first(value, types)
  for _, type in ipairs(types) do
    local condition = conditions[type]
    if condition ~= nil and condition.status == value then
      return (condition.reason or type) .. ": " .. (condition.message or "")
    end
  end
  return nil
end

-- Before all else: the installation that reports a conflict writes this condition alone and judges nothing.
if is_true("InstallationConflict") then
  return health("Degraded", first("True", { "InstallationConflict" }))
end

-- The schema's default is -1, so an object that nobody has seen is not taken for a good one.
if status.observedGeneration == nil or status.observedGeneration < 0 then
  return health("Progressing", "NotSeen: no operator has looked at it yet; does one watch this namespace?")
end
if status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "NotSeen: the operator has yet to look at the latest change")
end

-- What was removed is still in force until a person approves: not what Git says, and nothing moves by itself.
if is_true("RemovalHeld") then
  return health("Degraded", first("True", { "RemovalHeld" }))
end
if is_true("Stalled") then
  return health("Degraded", first("False", { "Accepted", "ResolvedRefs", "Programmed" }) or first("True", { "Stalled" }))
end
if is_true("Reconciling") then
  return health("Progressing", first("False", { "ResolvedRefs", "Programmed" }) or first("True", { "Reconciling" }))
end

if is_true("Ready") then
  if obj.kind == "VirtualKey" and is_true("Suspended") then
    return health("Suspended", first("True", { "Suspended" }))
  end
  -- What happens at run time is worth telling and is no failure of what was deployed.
  return health("Healthy", first("True", { "Expired", "Exhausted", "StoreDegraded", "AlertReached", "Ready" }))
end
return health("Progressing", first("False", { "Accepted", "ResolvedRefs", "Programmed", "Ready" })
  or first("Unknown", { "Ready" }) or "Pending: the condition Ready is not there yet")
