using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Xml.Linq;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Aws.Tests.Ec2;

/// <summary>
/// EC2's query protocol in XML over a small world of machines: requests, answers and errors in the shapes that AWS documents. The test drives what becomes of the machines, and how their workers answer.
/// </summary>
internal sealed class Ec2Stub : IAsyncDisposable
{
    private static readonly XNamespace Ns = "http://ec2.amazonaws.com/doc/2016-11-15/";

    private readonly WebApplication _app;
    private readonly Lock _gate = new();
    private readonly List<StubMachine> _machines = [];
    private readonly Dictionary<string, string> _tokens = [];
    private readonly List<StubCall> _calls = [];
    private readonly List<Fault> _faults = [];
    private readonly Dictionary<string, TaskCompletionSource> _held = [];
    private readonly List<(Func<IReadOnlyList<StubCall>, bool> When, TaskCompletionSource Met)> _awaited = [];
    private int _next;

    private Ec2Stub(WebApplication app) => _app = app;

    public Uri Address { get; private set; } = null!;

    /// <summary>The most machines on a page of a list.</summary>
    public int PageSize { get; set; } = 1000;

    /// <summary>Whether machines that are launched are in no list yet.</summary>
    public bool ListsLag { get; set; }

    /// <summary>Whether machines that are launched run at once.</summary>
    public bool RunsAtOnce { get; set; }

    /// <summary>Whether lists are made of all machines, whatever is asked for.</summary>
    public bool IgnoresFilters { get; set; }

    /// <summary>What types, or pools such as <c>c5.large/subnet-1</c>, are not to be had, and the code that says so.</summary>
    public ConcurrentDictionary<string, string> Refused { get; } = new();

    /// <summary>What fleets answer where they launch nothing.</summary>
    public List<(string Code, string Message)> FleetErrors { get; } = [];

    /// <summary>Prices of spot machines: type, zone, when, dollars.</summary>
    public List<(string Type, string Zone, DateTime At, string Price)> SpotPrices { get; } = [];

    public DateTimeOffset Now { get; set; } = new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero);

    public static async Task<Ec2Stub> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1));
        var app = builder.Build();
        var stub = new Ec2Stub(app);
        app.MapPost("/", stub.OnCallAsync);
        app.MapGet("/workers/{id}/v2/health/ready", stub.OnProbe);
        await app.StartAsync();
        stub.Address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        return stub;
    }

    public IReadOnlyList<StubMachine> Machines
    {
        get
        {
            lock (_gate)
            {
                return [.. _machines];
            }
        }
    }

    /// <summary>The calls of an action, in their order.</summary>
    public IReadOnlyList<StubCall> CallsOf(string action)
    {
        lock (_gate)
        {
            return [.. _calls.Where(c => c.Action == action)];
        }
    }

    /// <summary>Waits until an action was called so many times in all, and what was called for is done; unless it is held.</summary>
    public Task CalledAsync(string action, int times) => UntilAsync(calls => calls.Count(c => c.Action == action) >= times);

    /// <summary>Where a machine's worker answers.</summary>
    public Uri WorkerOf(string instanceId) => new(Address, $"workers/{instanceId}/");

    /// <summary>The next calls of an action fail.</summary>
    public void Fail(string action, string code, HttpStatusCode status = HttpStatusCode.BadRequest, string message = "as it was told to", int times = 1)
    {
        lock (_gate)
        {
            _faults.Add(new Fault(action, code, status, message, IsInEffect: false) { Left = times });
        }
    }

    /// <summary>
    /// Calls of an action have their connection cut, after what they ask for is done, until what is returned is called: the SDK repeats such a call even where it is to try only once.
    /// </summary>
    public Action Cut(string action, int times = int.MaxValue)
    {
        var cut = new Fault(action, "", HttpStatusCode.OK, "", IsInEffect: true) { Left = times };
        lock (_gate)
        {
            _faults.Add(cut);
        }
        return () =>
        {
            lock (_gate)
            {
                cut.Left = 0;
            }
        };
    }

    /// <summary>Calls of an action wait, until what is returned is called.</summary>
    public Action Hold(string action)
    {
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            _held[action] = held;
        }
        return () =>
        {
            lock (_gate)
            {
                _held.Remove(action);
            }
            held.SetResult();
        };
    }

    /// <summary>A machine that was there before.</summary>
    public StubMachine Add(string state, params (string Key, string Value)[] tags)
    {
        lock (_gate)
        {
            var machine = NewMachine("c5.large", null);
            machine.State = state;
            machine.IsListed = true;
            foreach (var (key, value) in tags)
            {
                machine.Tags[key] = value;
            }
            return machine;
        }
    }

    public StubMachine Find(string instanceId)
    {
        lock (_gate)
        {
            return _machines.Single(m => m.Id == instanceId);
        }
    }

    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            foreach (var held in _held.Values)
            {
                held.TrySetResult();
            }
        }
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private Task UntilAsync(Func<IReadOnlyList<StubCall>, bool> when)
    {
        lock (_gate)
        {
            var met = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (when(_calls))
            {
                met.SetResult();
            }
            else
            {
                _awaited.Add((when, met));
            }
            return met.Task.WaitAsync(TimeSpan.FromSeconds(30));
        }
    }

    private void Note(StubCall call)
    {
        _calls.Add(call);
        foreach (var awaited in _awaited.Where(a => a.When(_calls)).ToArray())
        {
            _awaited.Remove(awaited);
            awaited.Met.SetResult();
        }
    }

    private IResult OnProbe(string id, HttpContext context)
    {
        StubMachine? machine;
        lock (_gate)
        {
            machine = _machines.Find(m => m.Id == id);
            Note(new StubCall($"probe {id}", new Dictionary<string, string>()));
        }
        if (machine is not { State: "running" })
        {
            context.Abort();
            return Results.Empty;
        }
        if (machine.DrainsUntil is { } until)
        {
            context.Response.Headers["MArk-Instance-Ends-At"] = until;
        }
        return Results.StatusCode(machine is { Serves: true, DrainsUntil: null } ? 200 : 503);
    }

    private async Task OnCallAsync(HttpContext context)
    {
        var form = (await context.Request.ReadFormAsync()).ToDictionary(f => f.Key, f => f.Value.ToString());
        var action = form["Action"];
        var call = new StubCall(action, form);
        Task? held = null;
        Fault? fault;
        lock (_gate)
        {
            held = _held.TryGetValue(action, out var source) ? source.Task : null;
            fault = _faults.Find(f => f.Action == action && f.Left > 0);
            if (fault is not null)
            {
                fault.Left--;
            }
            if (held is not null || fault is { IsInEffect: false })
            {
                Note(call);
            }
        }
        if (held is not null)
        {
            await held;
        }
        if (fault is { IsInEffect: false })
        {
            await AnswerAsync(context, fault.Status, Error(fault.Code, fault.Message));
            return;
        }
        (HttpStatusCode Status, XElement Body) answer;
        lock (_gate)
        {
            answer = Do(action, form);
            if (held is null)
            {
                Note(call);
            }
        }
        if (fault is not null)
        {
            // An answer that has begun: without one, connections repeat requests by themselves.
            context.Response.ContentLength = 1000;
            await context.Response.WriteAsync("<");
            await context.Response.Body.FlushAsync();
            context.Abort();
            return;
        }
        await AnswerAsync(context, answer.Status, answer.Body);
    }

    private static async Task AnswerAsync(HttpContext context, HttpStatusCode status, XElement body)
    {
        context.Response.StatusCode = (int)status;
        if (body.Name.LocalName == "html")
        {
            context.Response.ContentType = "text/html";
            await context.Response.WriteAsync("<html><body>Bad Gateway<br></body></html>");
            return;
        }
        context.Response.ContentType = "text/xml;charset=UTF-8";
        await context.Response.WriteAsync(body.ToString(SaveOptions.DisableFormatting));
    }

    private static XElement Error(string code, string message) => code == "html" ? new XElement("html") : new(
        "Response",
        new XElement("Errors", new XElement("Error", new XElement("Code", code), new XElement("Message", message))),
        new XElement("RequestID", "ea966190-f9aa-478e-9ede-example"));

    private (HttpStatusCode, XElement) Do(string action, Dictionary<string, string> form) => action switch
    {
        "RunInstances" => Run(form),
        "CreateFleet" => CreateFleet(form),
        "DescribeInstances" => (HttpStatusCode.OK, Describe(form)),
        "TerminateInstances" => Alter(action, form, "shutting-down", "pending", "running", "stopping", "stopped"),
        "StopInstances" => Alter(action, form, "stopping", "running"),
        "StartInstances" => Alter(action, form, "pending", "stopped"),
        "DescribeSpotInstanceRequests" => (HttpStatusCode.OK, DescribeSpot(form)),
        "DescribeSpotPriceHistory" => (HttpStatusCode.OK, DescribePrices(form)),
        _ => (HttpStatusCode.BadRequest, Error("InvalidAction", $"The action {action} is not valid for this web service.")),
    };

    private StubMachine NewMachine(string type, string? subnet)
    {
        var machine = new StubMachine($"i-{++_next:x17}", type, subnet, Now) { IsListed = !ListsLag };
        _machines.Add(machine);
        return machine;
    }

    private StubMachine Launch(Dictionary<string, string> form, string type, string? subnet)
    {
        var machine = NewMachine(type, subnet);
        machine.State = RunsAtOnce ? "running" : "pending";
        for (var i = 1; form.TryGetValue($"TagSpecification.1.Tag.{i}.Key", out var key); i++)
        {
            machine.Tags[key] = form[$"TagSpecification.1.Tag.{i}.Value"];
        }
        return machine;
    }

    private (HttpStatusCode, XElement) Run(Dictionary<string, string> form)
    {
        var (type, subnet) = (form["InstanceType"], form.GetValueOrDefault("SubnetId"));
        var parameters = string.Join("&", form.Where(f => f.Key != "ClientToken").OrderBy(f => f.Key, StringComparer.Ordinal).Select(f => $"{f.Key}={f.Value}"));
        if (_machines.Find(m => m.Token == form["ClientToken"]) is { } before)
        {
            return _tokens[before.Token!] != parameters ? (HttpStatusCode.BadRequest, Error("IdempotentParameterMismatch", "The client token has been used with other parameters."))
                : before.State is "shutting-down" or "terminated" ? (HttpStatusCode.BadRequest, Error("IdempotentInstanceTerminated", "The instance of that client token is terminated."))
                : (HttpStatusCode.OK, Answer(before));
        }
        if (Refused.TryGetValue($"{type}/{subnet}", out var code) || Refused.TryGetValue(type, out code))
        {
            return (code.StartsWith("Insufficient", StringComparison.Ordinal) ? HttpStatusCode.InternalServerError : HttpStatusCode.BadRequest, Error(code, $"There is no {type} now."));
        }
        var machine = Launch(form, type, subnet);
        machine.Token = form["ClientToken"];
        _tokens[machine.Token] = parameters;
        return (HttpStatusCode.OK, Answer(machine));

        static XElement Answer(StubMachine machine) => new(Ns + "RunInstancesResponse", E("reservationId", "r-1"), E("instancesSet", Item(machine)));
    }

    private (HttpStatusCode, XElement) CreateFleet(Dictionary<string, string> form)
    {
        var pools = new List<(string Type, string? Subnet)>();
        for (var i = 1; form.TryGetValue($"LaunchTemplateConfigs.1.Overrides.{i}.InstanceType", out var type); i++)
        {
            pools.Add((type, form.GetValueOrDefault($"LaunchTemplateConfigs.1.Overrides.{i}.SubnetId")));
        }
        var token = form["ClientToken"];
        if (_machines.Find(m => m.Token == token) is not { } machine)
        {
            if (FleetErrors.Count > 0)
            {
                return (HttpStatusCode.OK, new XElement(
                    Ns + "CreateFleetResponse", E("fleetId", "fleet-1"), E("fleetInstanceSet"),
                    E("errorSet", [.. FleetErrors.Select(e => E("item", E("errorCode", e.Code), E("errorMessage", e.Message), E("lifecycle", "spot")))])));
            }
            if (pools.FindIndex(p => !Refused.ContainsKey(p.Type)) is not (>= 0 and var pool))
            {
                return (HttpStatusCode.OK, new XElement(Ns + "CreateFleetResponse", E("fleetId", "fleet-1")));
            }
            machine = Launch(form, pools[pool].Type, pools[pool].Subnet);
            (machine.Token, machine.IsSpot) = (token, true);
        }
        return (HttpStatusCode.OK, new XElement(
            Ns + "CreateFleetResponse", E("fleetId", "fleet-1"),
            E("fleetInstanceSet", E("item", E("instanceIds", E("item", machine.Id)), E("instanceType", machine.Type), E("lifecycle", "spot")))));
    }

    private XElement Describe(Dictionary<string, string> form)
    {
        var matching = _machines.Where(m => m.IsListed && (IgnoresFilters || Filters(form).All(f => Matches(m, f.Name, f.Values)))).ToList();
        var from = form.TryGetValue("NextToken", out var token) ? int.Parse(token, CultureInfo.InvariantCulture) : 0;
        var page = matching.Skip(from).Take(PageSize).ToList();
        // AWS leaves out what is empty.
        return new XElement(
            Ns + "DescribeInstancesResponse",
            page.Count == 0 ? null : E("reservationSet", [.. page.Select(m => E("item", E("reservationId", $"r-{m.Id}"), E("instancesSet", Item(m))))]),
            from + page.Count < matching.Count ? E("nextToken", (from + page.Count).ToString(CultureInfo.InvariantCulture)) : null);

        static bool Matches(StubMachine machine, string name, IReadOnlyList<string> values) => name switch
        {
            "instance-state-name" => values.Contains(machine.State),
            _ when name.StartsWith("tag:", StringComparison.Ordinal) => machine.Tags.TryGetValue(name[4..], out var tag) && values.Any(v => IsLike(tag, v)),
            _ => false,
        };
    }

    /// <summary>EC2's filters have the wildcards * and ?, and \ before one that means itself.</summary>
    private static bool IsLike(string value, string pattern)
    {
        var regex = new System.Text.StringBuilder("^");
        for (var i = 0; i < pattern.Length; i++)
        {
            regex.Append(pattern[i] switch
            {
                '\\' when i + 1 < pattern.Length => System.Text.RegularExpressions.Regex.Escape(pattern[++i].ToString()),
                '*' => ".*",
                '?' => ".?",
                var c => System.Text.RegularExpressions.Regex.Escape(c.ToString()),
            });
        }
        return System.Text.RegularExpressions.Regex.IsMatch(value, regex.Append('$').ToString());
    }

    private static IEnumerable<(string Name, IReadOnlyList<string> Values)> Filters(Dictionary<string, string> form)
    {
        for (var i = 1; form.TryGetValue($"Filter.{i}.Name", out var name); i++)
        {
            yield return (name, [.. form.Where(f => f.Key.StartsWith($"Filter.{i}.Value.", StringComparison.Ordinal)).Select(f => f.Value)]);
        }
    }

    private (HttpStatusCode, XElement) Alter(string action, Dictionary<string, string> form, string to, params string[] from)
    {
        var id = form["InstanceId.1"];
        if (_machines.Find(m => m.Id == id && m.IsListed && m.State != "gone") is not { } machine)
        {
            return (HttpStatusCode.BadRequest, Error("InvalidInstanceID.NotFound", $"The instance ID '{id}' does not exist"));
        }
        var before = machine.State;
        if (from.Contains(before))
        {
            machine.State = to;
        }
        // Stopping what is stopped, starting what runs, ending what is ended succeeds.
        else if (!(action switch { "StopInstances" => before is "stopping" or "stopped", "StartInstances" => before is "pending" or "running", _ => true }))
        {
            return (HttpStatusCode.BadRequest, Error("IncorrectInstanceState", $"The instance '{id}' is not in a state from which it can be {(action == "StopInstances" ? "stopped" : "started")}."));
        }
        return (HttpStatusCode.OK, new XElement(
            Ns + $"{action}Response",
            E("instancesSet", E("item", E("instanceId", id), E("currentState", E("code", "0"), E("name", machine.State)), E("previousState", E("code", "0"), E("name", before))))));
    }

    private XElement DescribeSpot(Dictionary<string, string> form)
    {
        var ids = Filters(form).Single(f => f.Name == "instance-id").Values;
        return new XElement(
            Ns + "DescribeSpotInstanceRequestsResponse",
            E("spotInstanceRequestSet", [.. _machines.Where(m => ids.Contains(m.Id)).Select(m => E(
                "item", E("spotInstanceRequestId", $"sir-{m.Id}"), E("instanceId", m.Id), E("state", "active"),
                E("status", E("code", m.SpotStatus), E("updateTime", Text(m.SpotStatusAt)), E("message", "as it is"))))]));
    }

    private XElement DescribePrices(Dictionary<string, string> form)
    {
        var types = form.Where(f => f.Key.StartsWith("InstanceType.", StringComparison.Ordinal)).Select(f => f.Value).ToList();
        var matching = SpotPrices.Where(p => types.Contains(p.Type)).ToList();
        var from = form.TryGetValue("NextToken", out var token) && token.Length > 0 ? int.Parse(token, CultureInfo.InvariantCulture) : 0;
        var page = matching.Skip(from).Take(PageSize).ToList();
        return new XElement(
            Ns + "DescribeSpotPriceHistoryResponse",
            E("spotPriceHistorySet", [.. page.Select(p => E(
                "item", E("instanceType", p.Type), E("productDescription", "Linux/UNIX"), E("spotPrice", p.Price), E("timestamp", Text(p.At)), E("availabilityZone", p.Zone)))]),
            // This action says that there is no more by an empty token.
            E("nextToken", from + page.Count < matching.Count ? (from + page.Count).ToString(CultureInfo.InvariantCulture) : ""));
    }

    private static XElement Item(StubMachine machine) => E(
        "item",
        E("instanceId", machine.Id),
        E("imageId", "ami-1"),
        E("instanceState", E("code", "0"), E("name", machine.State)),
        E("instanceType", machine.Type),
        E("launchTime", Text(machine.LaunchedAt.UtcDateTime)),
        machine.State == "running" ? E("privateIpAddress", machine.PrivateAddress) : null,
        machine.State == "running" ? E("ipAddress", machine.PublicAddress) : null,
        machine.Tags.Count == 0 ? null : E("tagSet", [.. machine.Tags.Select(t => E("item", E("key", t.Key), E("value", t.Value)))]));

    private static XElement E(string name, params object?[] content) => new(Ns + name, content);

    private static string Text(DateTime at) => at.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    private sealed record Fault(string Action, string Code, HttpStatusCode Status, string Message, bool IsInEffect)
    {
        public int Left { get; set; }
    }
}

/// <summary>A call that reached the stub.</summary>
/// <param name="Action">The action.</param>
/// <param name="Form">Its parameters, as the query protocol names them.</param>
internal sealed record StubCall(string Action, IReadOnlyDictionary<string, string> Form);

/// <summary>A machine of the stub's world.</summary>
internal sealed class StubMachine(string id, string type, string? subnet, DateTimeOffset launchedAt)
{
    public string Id { get; } = id;

    public string Type { get; } = type;

    public string? Subnet { get; } = subnet;

    public DateTimeOffset LaunchedAt { get; } = launchedAt;

    public ConcurrentDictionary<string, string> Tags { get; } = new();

    public string PrivateAddress { get; set; } = "10.0.0.1";

    public string PublicAddress { get; set; } = "192.0.2.1";

    /// <summary>As EC2 names it; <c>gone</c> for one that EC2 does not know any more.</summary>
    public volatile string State = "pending";

    /// <summary>Whether it is in EC2's lists.</summary>
    public volatile bool IsListed;

    /// <summary>Whether its worker says that it is ready.</summary>
    public volatile bool Serves = true;

    /// <summary>Until when its worker says that it drains; what it says, if that is no time.</summary>
    public string? DrainsUntil { get; set; }

    public string? Token { get; set; }

    public bool IsSpot { get; set; }

    public volatile string SpotStatus = "fulfilled";

    public DateTime SpotStatusAt { get; set; } = launchedAt.UtcDateTime;
}
