using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;
using MArk.Serving.Configuration;
using MArk.Serving.Diagnostics;
using MArk.Serving.Engine;
using MArk.Serving.Hosting;
using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;
using MArk.Serving.Spillover;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MArk.Serving.DependencyInjection;

/// <summary>Adds served models.</summary>
public sealed class MArkServingBuilder
{
    private readonly ModelNames _names;

    internal MArkServingBuilder(IServiceCollection services) => (Services, _names) = (services, ModelNames.Of(services));

    /// <summary>The host's services.</summary>
    public IServiceCollection Services { get; }

    /// <summary>
    /// Adds a model. Its client is the keyed service <see cref="IModelClient{TIn, TOut}"/> under the model's name, <see cref="IModelMonitor"/> tells what it does, and <see cref="IModelReloader{TIn, TOut}"/> puts another version in its place; it runs from the host's start to
    /// its stop. Settings come from the configuration section <c>MArk:Models:{name}</c>, then from <paramref name="configure"/>, and are checked at start; keys of the section that no setting has are
    /// refused.
    /// </summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="name">The model's name; unique in the host, not empty.</param>
    /// <param name="configure">What the model runs on, and its settings.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The name is empty or taken, or the model was given nothing to run it, or a part that would have nothing to do.</exception>
    public MArkServingBuilder AddModel<TIn, TOut>(string name, Action<ModelBuilder<TIn, TOut>> configure)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(configure);
        if (!_names.TryAdd(name))
        {
            throw new ArgumentException($"There is a model '{name}' already; names must be unique.", nameof(name));
        }
        var model = new ModelBuilder<TIn, TOut>(name, Services);
        var options = Services.AddOptions<ModelOptions>(name);
        options.Configure<IServiceProvider>((o, provider) => Bind(provider.GetService<IConfiguration>(), name, o));
        configure(model);
        model.Check(nameof(configure));
        options.ValidateOnStart();
        Services.AddSingleton<IValidateOptions<ModelOptions>>(new ModelOptionsValidator(name, model.HasProvider));
        Services.AddSingleton<IValidateOptions<ModelOptions>>(provider => new UnknownSettingsValidator(
            name, model.Settings, provider.GetService<IConfiguration>(), provider.GetRequiredService<ILoggerFactory>().CreateLogger<UnknownSettingsValidator>()));
        Services.AddSingleton(model.Claim);
        Services.AddKeyedSingleton(name, (provider, _) => model.Build(provider));
        Services.AddKeyedSingleton<IModelClient<TIn, TOut>>(name, (provider, key) => provider.GetRequiredKeyedService<ModelEngine<TIn, TOut>>(key));
        Services.AddKeyedSingleton<IModelReloader<TIn, TOut>>(name, (provider, key) => provider.GetRequiredKeyedService<ModelEngine<TIn, TOut>>(key));
        Services.AddKeyedSingleton<IModelMonitor>(name, (provider, key) => new ModelMonitor(
            provider.GetRequiredKeyedService<ModelEngine<TIn, TOut>>(key), provider.GetRequiredService<TimeProvider>()));
        Services.AddSingleton<IModelRuntime>(provider => provider.GetRequiredKeyedService<ModelEngine<TIn, TOut>>(name));
        Services.AddSingleton<IServedModel>(provider => new ServedModel<TIn, TOut>(
            provider.GetRequiredKeyedService<ModelEngine<TIn, TOut>>(name), provider.GetRequiredKeyedService<IModelMonitor>(name)));
        return this;
    }

    private static void Bind(IConfiguration? configuration, string name, ModelOptions options) =>
        configuration?.GetSection($"{ModelOptions.Sections}:{name}").Bind(options);
}

/// <summary>Sets up one model: <c>Use...</c> chooses a part, <c>With...</c> sets a value.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
public sealed class ModelBuilder<TIn, TOut>
{
    private Func<BatchPolicySettings, IBatchPolicy> _createPolicy = static _ => new Batching.SloAwareBatchPolicy();
    private Func<IServiceProvider, IBatchRunnerFactory<TIn, TOut>, ISpilloverTarget<TIn, TOut>>? _spillover;
    private bool _disposesSpillover;
    private Func<IServiceProvider, IInstanceProvider>? _provider;
    private Func<IServiceProvider, IWorkloadPredictor>? _predictor;
    private Func<IServiceProvider, IArrivalHistoryStore?>? _historyStore;
    private Func<IServiceProvider, IFleetLease?>? _lease;
    private Func<IServiceProvider, IProvisioningPlanner>? _planner;
    private readonly Dictionary<string, LatencyProfile> _profiles = [];
    private (bool Given, TIn? Input) _sample;
    private Func<TIn, int>? _weigh;
    private Func<TIn, long>? _measure;
    private IReadOnlyCollection<LocalOffering> _localOfferings = [];
    private int? _concurrency;      // of a batch function
    private int? _runnerThreads;

    internal ModelBuilder(string name, IServiceCollection services)
    {
        Name = name;
        Services = services;
    }

    /// <summary>The model's name.</summary>
    public string Name { get; }

    /// <summary>The host's services.</summary>
    public IServiceCollection Services { get; }

    internal KnownSettings Settings { get; } = new();

    internal Func<IServiceProvider, IBatchRunnerFactory<TIn, TOut>>? RunnerFactory { get; private set; }

    internal bool HasProvider => _provider is not null;

    /// <summary>
    /// Runs batches by a function of the host's: batching alone. It is taken to compute, and holds a core for each batch at a time, as far as they go
    /// round; for one that waits for something else, call <see cref="WithConcurrency"/> with 0 threads.
    /// </summary>
    /// <param name="function">Answers every index of a batch through the sink.</param>
    /// <param name="concurrency">
    /// How many batches may run at a time, where <see cref="ModelOptions.Instances"/> does not say it; at least 1. Each instance of a provider runs one at a time: 1 is all that is accepted there.
    /// </param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UseBatchFunction(BatchFunction<TIn, TOut> function, int concurrency = 1)
    {
        ArgumentNullException.ThrowIfNull(function);
        ArgumentOutOfRangeException.ThrowIfLessThan(concurrency, 1);
        UseRunner(_ => new DelegateBatchRunnerFactory<TIn, TOut>(function));
        _concurrency = concurrency;
        return this;
    }

    /// <summary>Runs batches by a runner of the host's own.</summary>
    /// <param name="create">Makes the factory of runners.</param>
    /// <param name="threads">
    /// The threads that its runners compute a batch on, 0 to 1024; 0 if they compute elsewhere. <see langword="null"/>, the default, if they heed
    /// the threads that their instance is granted.
    /// </param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The threads are outside their range.</exception>
    public ModelBuilder<TIn, TOut> UseRunner(Func<IServiceProvider, IBatchRunnerFactory<TIn, TOut>> create, int? threads = null)
    {
        ArgumentNullException.ThrowIfNull(create);
        if (threads is < 0 or > ModelOptions.MaxThreads)
        {
            throw new ArgumentOutOfRangeException(
                nameof(threads), threads, FormattableString.Invariant($"The threads of model '{Name}' are {threads}; accepted: 0 to {ModelOptions.MaxThreads}, or null."));
        }
        RunnerFactory = create;
        _concurrency = null;
        _runnerThreads = threads;
        return this;
    }

    /// <summary>Sizes batches by a policy of the host's own, instead of by the SLO.</summary>
    /// <param name="create">Makes the policy of one model on one offering.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UseBatchPolicy(Func<BatchPolicySettings, IBatchPolicy> create)
    {
        ArgumentNullException.ThrowIfNull(create);
        _createPolicy = create;
        return this;
    }

    /// <summary>Sends requests that the instances cannot answer in time elsewhere.</summary>
    /// <param name="create">Makes the target.</param>
    /// <param name="disposes">
    /// Whether the target, where it is an <see cref="IAsyncDisposable"/>, is disposed with the model: <see langword="true"/>, the default, for one that is made here, and <see langword="false"/> for one
    /// that is taken from the container, which disposes it itself, or that the host shares.
    /// </param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UseSpillover(Func<IServiceProvider, ISpilloverTarget<TIn, TOut>> create, bool disposes = true)
    {
        ArgumentNullException.ThrowIfNull(create);
        _spillover = (provider, _) => create(provider);
        _disposesSpillover = disposes;
        return this;
    }

    /// <summary>Sends requests that the instances cannot answer in time to a function of the host's.</summary>
    /// <param name="function">Answers every index through the sink; called concurrently.</param>
    /// <param name="quote">Latency, price and the whole concurrency of the function; no I/O.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UseSpillover(BatchFunction<TIn, TOut> function, Func<SpilloverQuote> quote)
    {
        ArgumentNullException.ThrowIfNull(function);
        ArgumentNullException.ThrowIfNull(quote);
        return UseSpillover(_ => new DelegateSpilloverTarget<TIn, TOut>(function, quote));
    }

    /// <summary>Runs requests that the instances cannot answer in time outside the fleet, in this process: what a serverless function is to a cloud.</summary>
    /// <param name="options">How many at a time, and what one is taken to cost.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">A value is outside its range; names it.</exception>
    public ModelBuilder<TIn, TOut> UseLocalSpillover(LocalSpilloverOptions? options = null)
    {
        options ??= new LocalSpilloverOptions();
        options.Validate();
        _disposesSpillover = true;
        _spillover = (provider, factory) => new LocalSpilloverTarget<TIn, TOut>(factory, _sample, options, Name, provider.GetRequiredService<TimeProvider>());
        return this;
    }

    /// <summary>Serves from instances in this process, of one core each: as many as the planner wants and the machine has cores.</summary>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UseLocalInstances() => UseLocalInstances(int.MaxValue);

    /// <summary>Serves from instances in this process, of one core each.</summary>
    /// <param name="max">The most instances; at least 1. They are also bounded by the machine's cores.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">There are to be none.</exception>
    public ModelBuilder<TIn, TOut> UseLocalInstances(int max) => UseLocalInstances(new LocalOffering { MaxInstances = max });

    /// <summary>Serves from instances in this process.</summary>
    /// <param name="offerings">The kinds of instances there are; at least one, with names that are unique. The host does not start where one wants more threads an instance than the machine has cores.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">There is no offering, two have the same name, or one is outside its bounds; names it and the value.</exception>
    public ModelBuilder<TIn, TOut> UseLocalInstances(params LocalOffering[] offerings)
    {
        ArgumentNullException.ThrowIfNull(offerings);
        LocalOffering.Validate(offerings);
        UseInstanceProvider(provider => new LocalInstanceProvider(
            offerings, provider.GetRequiredService<CoreBudget>(), provider.GetRequiredService<TimeProvider>()));
        _localOfferings = offerings;
        return this;
    }

    /// <summary>Serves from instances of a provider, as many as the planner wants.</summary>
    /// <param name="create">Makes the provider. One that can be disposed is the host's to dispose, after the model; the container does so with one that is taken from it.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UseInstanceProvider(Func<IServiceProvider, IInstanceProvider> create)
    {
        ArgumentNullException.ThrowIfNull(create);
        _provider = create;
        _localOfferings = [];
        return this;
    }

    /// <summary>Forecasts the load by a predictor of the host's own, instead of by <see cref="AutoPredictor"/>.</summary>
    /// <param name="create">
    /// Makes the predictor; one a model. It is asked for <see cref="FleetOptions.Horizon"/> steps of <see cref="FleetOptions.PlanInterval"/>, at the host's start already, which fails where it cannot
    /// forecast those; <see cref="PredictorOptions.Of"/> makes the options of built-in ones fit. One that can be disposed is the host's to dispose.
    /// </param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UsePredictor(Func<IServiceProvider, IWorkloadPredictor> create)
    {
        ArgumentNullException.ThrowIfNull(create);
        _predictor = create;
        return this;
    }

    /// <summary>
    /// Keeps the model's counted arrivals in a file of a directory, so that a restart of the host does not lose the daily pattern: <see cref="FleetOptions.HistoryDirectory"/>.
    /// </summary>
    /// <param name="directory">The directory; made if there is none. A relative path is taken from the process's current directory.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> KeepArrivalHistory(string directory)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        return WithOptions(o => o.Fleet.HistoryDirectory = directory);
    }

    /// <summary>Keeps the model's counted arrivals in a store of the host's own, whatever <see cref="FleetOptions.HistoryDirectory"/> says.</summary>
    /// <param name="create">Makes the store, or <see langword="null"/> to keep nothing. One that can be disposed is the host's to dispose.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UseArrivalHistoryStore(Func<IServiceProvider, IArrivalHistoryStore?> create)
    {
        ArgumentNullException.ThrowIfNull(create);
        _historyStore = create;
        return this;
    }

    /// <summary>
    /// Where several hosts are set up for the same fleet, has the one that holds its lease keep it, whatever <see cref="FleetOptions.LeaseDirectory"/> says; the others wait, and
    /// serve by spillover only.
    /// </summary>
    /// <param name="create">Makes the lease, or <see langword="null"/> where this host is the only one. One that can be disposed is the host's to dispose.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UseFleetLease(Func<IServiceProvider, IFleetLease?> create)
    {
        ArgumentNullException.ThrowIfNull(create);
        _lease = create;
        return this;
    }

    /// <summary>Plans the fleet by a planner of the host's own, instead of by a <see cref="CostOptimalPlanner"/>.</summary>
    /// <param name="create">Makes the planner; one a model. One that can be disposed is the host's to dispose.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UsePlanner(Func<IServiceProvider, IProvisioningPlanner> create)
    {
        ArgumentNullException.ThrowIfNull(create);
        _planner = create;
        return this;
    }

    /// <summary>Warms instances up, and measures them, with an input of the host's, where the model cannot make one up itself.</summary>
    /// <param name="input">An input that stands for all; only read.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> WithWarmUpInput(TIn input)
    {
        _sample = (true, input);
        return this;
    }

    /// <summary>Says how much of a batch an input takes, for <see cref="ModelOptions.MaxBatchWeight"/>, where the runner does not.</summary>
    /// <param name="weigh">The weight in the model's own unit (tokens, pixels); at least 1. Called concurrently, on the caller's thread.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> WithWeight(Func<TIn, int> weigh)
    {
        ArgumentNullException.ThrowIfNull(weigh);
        _weigh = weigh;
        return this;
    }

    /// <summary>Says how much memory an input holds while it waits, where the runner does not.</summary>
    /// <param name="measure">The bytes; not negative. Called concurrently, on the caller's thread.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> WithSize(Func<TIn, long> measure)
    {
        ArgumentNullException.ThrowIfNull(measure);
        _measure = measure;
        return this;
    }

    /// <summary>Takes an earlier measurement of an offering's instances instead of measuring the first of them.</summary>
    /// <param name="offeringName">The offering; <c>in-process</c> for the instances of this process where there is no provider. The host does not start with one that there is not.</param>
    /// <param name="profile">How long a batch takes on this very machine, not scaled by <see cref="LocalOffering.DeviceTimeScale"/>.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> WithProfile(string offeringName, LatencyProfile profile)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(offeringName);
        ArgumentNullException.ThrowIfNull(profile);
        _profiles[offeringName] = profile;
        return this;
    }

    /// <summary>Sets the latency objective.</summary>
    /// <param name="slo">Within this time of its arrival a request should be answered.</param>
    /// <param name="serviceLevel">The share of requests that should be; <see langword="null"/>, the default, leaves <see cref="ModelOptions.ServiceLevel"/> as it is.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> WithSlo(TimeSpan slo, double? serviceLevel = null) => WithOptions(o =>
    {
        o.Slo = slo;
        o.ServiceLevel = serviceLevel ?? o.ServiceLevel;
    });

    /// <summary>Sets how many instances serve in this process, each with the model in memory, instead of as many as its share of the cores.</summary>
    /// <param name="instances">See <see cref="ModelOptions.Instances"/>; 1 to 1024.</param>
    /// <param name="threads">See <see cref="ModelOptions.Threads"/>; 0 to 1024. <see langword="null"/>, the default, leaves it as it is: 1 unless configured.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> WithConcurrency(int instances, int? threads = null) => WithOptions(o =>
    {
        o.Instances = instances;
        o.Threads = threads ?? o.Threads;
    });

    /// <summary>
    /// Sets anything else. What the builder sets, here and by the other <c>With...</c> methods, is set after what configuration says, in the order of the calls, and so wins over it.
    /// </summary>
    /// <param name="configure">Changes the settings; it is given what configuration, and the calls before, say.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> WithOptions(Action<ModelOptions> configure)
    {
        Services.Configure(Name, configure);
        return this;
    }

    /// <summary>
    /// Says that a part binds settings of its own from a section below the model's, such as <c>Ec2</c>, so that its keys are not refused at start. They are the public properties of what is bound;
    /// what is below those is not looked at, unless it is added too: <c>AddSettings&lt;Ec2Offering&gt;("Ec2:Offerings:*")</c> for the elements of a list or dictionary.
    /// </summary>
    /// <typeparam name="TOptions">What is bound from the section.</typeparam>
    /// <param name="section">The section, below <c>MArk:Models:{name}</c>; <c>*</c> stands for each element.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The section is empty.</exception>
    public ModelBuilder<TIn, TOut> AddSettings<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicProperties)] TOptions>(string section)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(section);
        Settings.Add<TOptions>(section);
        return this;
    }

    /// <summary>Refuses parts that would have nothing to do.</summary>
    /// <exception cref="ArgumentException">The model has one, or nothing that runs it; says what to call or to leave out.</exception>
    internal void Check(string paramName)
    {
        Require(RunnerFactory is not null, "has nothing to run it: call UseBatchFunction, UseRunner, or a package's Use... method.");
        RequireFleet(_historyStore, "a store for its arrivals, and no fleet that would be planned by them", "UseArrivalHistoryStore");
        Require(HasProvider || _lease is null, "has a lease, and no fleet that would be kept: call UseInstanceProvider, or leave UseFleetLease out.");
        RequireFleet(_predictor, "a predictor, and no fleet that would be planned by it", "UsePredictor, or the package's method that uses one,");
        RequireFleet(_planner, "a planner, and no fleet that it would plan", "UsePlanner");
        Require(
            !HasProvider || _concurrency is null or 1, FormattableString.Invariant(
                $"has a batch function of concurrency {_concurrency}, and instances of a provider, each of which runs one batch at a time: leave the concurrency out, and have as many instances."));

        void RequireFleet(object? part, string has, string call) => Require(HasProvider || part is null, $"has {has}: call UseLocalInstances or UseInstanceProvider, or leave {call} out.");

        void Require(bool holds, string what)
        {
            if (!holds)
            {
                throw new ArgumentException($"Model '{Name}' {what}", paramName);
            }
        }
    }

    internal CoreClaim Claim(IServiceProvider provider)
    {
        var options = OptionsOf(provider);
        var threads = _runnerThreads ?? options.Threads;
        return HasProvider ? CoreClaim.OfFleet(Name, _localOfferings)
            : options.Instances is { } set ? CoreClaim.OfSet(Name, set, threads ?? 1)
            : _concurrency is { } concurrency ? CoreClaim.OfFunction(Name, concurrency, threads ?? 1)
            : CoreClaim.OfAutomatic(Name, threads);
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "The container owns and disposes the engine.")]
    internal ModelEngine<TIn, TOut> Build(IServiceProvider provider)
    {
        var options = OptionsOf(provider);
        var logger = provider.GetRequiredService<ILoggerFactory>().CreateLogger($"MArk.Serving.{Name}");
        var factory = RunnerFactory!(provider);
        var shares = provider.GetRequiredService<CoreShares>();
        var cores = shares.Of(Name);
        if (cores.IsShared)
        {
            ServingLog.SharesCores(logger, Name, cores.Held, shares.Cores, cores.Instances, cores.Threads);
        }
        return new ModelEngine<TIn, TOut>(new EngineParts<TIn, TOut>
        {
            ModelName = Name,
            Options = options,
            RunnerFactory = factory,
            Weigh = _weigh,
            Measure = _measure,
            CreatePolicy = _createPolicy,
            Spillover = _spillover?.Invoke(provider, factory),
            DisposesSpillover = _disposesSpillover,
            Cores = cores,
            Provider = _provider?.Invoke(provider),
            CreatePredictor = () => _predictor?.Invoke(provider) ?? new AutoPredictor(PredictorOptions.Of(options.Fleet)),
            CreatePlanner = () => _planner?.Invoke(provider) ?? new CostOptimalPlanner(),
            HistoryStore = _historyStore is { } create ? create(provider)
                : options.Fleet.HistoryDirectory is { } directory && HasProvider ? new FileArrivalHistoryStore(directory)
                : null,
            Lease = _lease is { } createLease ? createLease(provider)
                : options.Fleet.LeaseDirectory is { } leases && HasProvider ? new FileFleetLease(leases, provider.GetRequiredService<TimeProvider>())
                : null,
            Profiles = _profiles,
            Sample = _sample,
            Meter = provider.GetService<IMeterFactory>()?.Create(ServingInstruments.Name) ?? new Meter(ServingInstruments.Name),
            Time = provider.GetRequiredService<TimeProvider>(),
            Report = error => ServingLog.PartFailed(logger, Name, error),
            TellUnfinished = (waiting, begun) => ServingLog.Unfinished(logger, Name, waiting, begun, options.DrainTimeout),
            Explain = explanation => Log(logger, explanation),
        });
    }

    private void Log(ILogger logger, PlanExplanation explanation)
    {
        if (logger.IsEnabled(LogLevel.Information))
        {
            ServingLog.PlanChanged(
                logger, Name, Listed(explanation.Candidates.Where(c => c.Planned > 0).Select(c => FormattableString.Invariant($"{c.Planned} x {c.Offering}"))), (explanation.IsDryRun ? "not done, in a dry run: " : "") + Listed(explanation.Actions),
                Listed(explanation.Bounds.Select(b => b.Text)), explanation);
        }

        static string Listed<T>(IEnumerable<T> all) => string.Join(", ", all) is { Length: > 0 } list ? list : "nothing";
    }

    private ModelOptions OptionsOf(IServiceProvider provider) => provider.GetRequiredService<IOptionsMonitor<ModelOptions>>().Get(Name);
}
