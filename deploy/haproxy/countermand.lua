-- Asks Countermand before HAProxy passes a request on, and shows the client our answer where it refuses.
--
-- The person is the user of HTTP Basic, which Countermand reads by itself. HAProxy does not check the password, the
-- mail server does; so a refusal names no app, or anyone could ask what is on somebody's phone. Where HAProxy itself
-- signs people in, add its name for the person to `question` as ["x-remote-user"]: it vouches for the person then,
-- and the refusal says which app it is.

local countermand = { address = "127.0.0.1", port = 8420 }
-- [gate] secret of countermand.toml
local secret = "CHANGE-ME"
-- Without a verdict, because Countermand is down or slow or does not know us: false keeps the door closed, and tells
-- the client to come back in two minutes; true opens it.
local open_without_verdict = false
-- In seconds, from the question to the last byte of the answer.
local patience = 2

-- What is asked: header names and their values.
local function question(txn)
    local headers = {
        ["x-countermand-secret"] = { secret },
        ["x-original-method"] = { txn.sf:method() },
        ["x-original-uri"] = { txn.sf:pathq() },
    }
    local sent = txn.http:req_get_headers()
    for _, name in ipairs({ "authorization", "ms-asprotocolversion" }) do
        -- HAProxy counts from 0. Each value goes on: we don't guess which one the mail server would take.
        local values = sent[name] or {}
        headers[name] = table.move(values, 0, #values, 1, {})
    end
    -- A certificate counts only if it was verified: anybody can show one.
    if txn.f:ssl_fc() and txn.f:ssl_c_verify() == 0 then
        headers["x-client-cert-serial"] = { txn.sc:hex(txn.f:ssl_c_serial() or "") }
        headers["x-client-cert-subject"] = { txn.sf:ssl_c_s_dn("", 0, "rfc2253") }
    end
    return headers
end

local function now()
    local time = core.now()
    return time.sec + time.usec / 1000000
end

-- All that comes until then. A socket's timeout is for each time that nothing comes, so whoever sends byte upon byte
-- would never meet it: a piece has its share of what is left for each of its bytes. An answer of ours comes at once.
local function receive(socket, deadline)
    local pieces, wanted = {}, 1
    while true do
        local left = deadline - now()
        if left <= 0 then
            return ""
        end
        socket:settimeout(left / wanted)
        local piece = socket:receive(wanted) or ""
        pieces[#pieces + 1] = piece
        if #piece < wanted then
            return table.concat(pieces)
        end
        wanted = 32
    end
end

-- HAProxy's own HTTP client tries again for many seconds where nobody answers. So this speaks HTTP/1.0, in which an
-- answer ends with its connection.
local function ask(headers)
    local lines = { "GET /gate/authz HTTP/1.0" }
    for name, values in pairs(headers) do
        for _, value in ipairs(values) do
            lines[#lines + 1] = name .. ": " .. value
        end
    end
    local deadline = now() + patience
    local socket = core.tcp()
    socket:settimeout(patience)
    local text = ""
    if socket:connect(countermand.address, countermand.port) then
        socket:send(table.concat(lines, "\r\n") .. "\r\n\r\n")
        text = receive(socket, deadline)
    end
    socket:close()
    local head, body = text:match("^(HTTP/1%.%d %d%d%d.-\r\n)\r\n(.*)$")
    if not head then
        return { headers = {} }
    end
    local answer = { status = tonumber(head:sub(10, 12)), headers = {}, body = body }
    for name, value in head:gmatch("\n([^:\r\n]+): *([^\r\n]*)") do
        answer.headers[name:lower()] = value
    end
    -- One that was cut off on its way is none.
    if tonumber(answer.headers["content-length"]) ~= #body then
        return { headers = {} }
    end
    return answer
end

core.register_action("countermand", { "http-req" }, function(txn)
    local answer = ask(question(txn))
    -- The yes or no of somebody else who listens at that port is no verdict. Nor is a 401 (wrong secret), which must
    -- not reach a phone, for it would ask for the mail password again.
    if answer.status == 200 and answer.headers["x-countermand-decision"] then
        txn:unset_var("txn.countermand_status")
        return
    end
    local status = answer.headers["x-countermand-show"]
    if answer.status == 403 and status then
        txn:set_var("txn.countermand_status", status)
        txn:set_var("txn.countermand_type", answer.headers["content-type"])
        txn:set_var("txn.countermand_policy", answer.headers["content-security-policy"])
        txn:set_var("txn.countermand_body", answer.body)
    elseif open_without_verdict then
        txn:unset_var("txn.countermand_status")
    end
    -- Else it stays 503, as haproxy.cfg has set it.
end)

-- Shows what the action above has found. An action could answer by itself, but HAProxy cuts such an answer at its
-- first zero byte, and a phone's document has some.
core.register_service("countermand_refusal", "http", function(applet)
    local function found(name)
        return applet:get_var("txn.countermand_" .. name)
    end
    local status, body = tonumber(found("status")), found("body") or ""
    applet:set_status(status)
    applet:add_header("cache-control", "no-store")
    applet:add_header("content-length", tostring(#body))
    if status == 503 then
        applet:add_header("retry-after", "120")
    end
    if found("type") then
        applet:add_header("content-type", found("type"))
        applet:add_header("x-content-type-options", "nosniff")
    end
    if found("policy") then
        applet:add_header("content-security-policy", found("policy"))
    end
    applet:start_response()
    applet:send(body)
end)
