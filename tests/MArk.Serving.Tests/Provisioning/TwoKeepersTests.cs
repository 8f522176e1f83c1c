using CsCheck;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>Two hosts of one fleet, in virtual time, that pause, lose their store and stop: at most one acts at a time, and they leak nothing.</summary>
public sealed class TwoKeepersTests
{
    private const int Max = 5;
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(30);
    private static readonly InstanceOffering A = new() { Name = "a", PricePerHour = 1, LaunchDelay = TimeSpan.FromSeconds(20), MaxInstances = Max };

    private static readonly InstanceOffering Standby = new()
    {
        Name = "standby", Market = InstanceMarket.Standby, PricePerHour = 1, LaunchDelay = TimeSpan.FromSeconds(20), ResumeDelay = TimeSpan.FromSeconds(10),
    };

    internal enum Trouble
    {
        /// <summary>The host's process does nothing for a while: everything that happens meanwhile it hears of late.</summary>
        Pause,

        /// <summary>What keeps the lease cannot be reached from the host.</summary>
        NoStore,

        /// <summary>The host dies, and is started again.</summary>
        Crash,
    }

    /// <summary>A trouble of a host, from and for so many seconds, with how many instances are wanted from then on.</summary>
    internal readonly record struct Episode(int Host, Trouble Kind, int At, int For, int Wanted);

    private static readonly Gen<Episode[]> GenTroubles =
        Gen.Select(Gen.Int[0, 1], Gen.Int[0, 2], Gen.Int[0, 900], Gen.Int[1, 120], Gen.Int[0, Max], (host, kind, at, length, wanted) => new Episode(host, (Trouble)kind, at, length, wanted)).Array[0, 8];

    [Fact]
    public void OneKeepsTheFleetAndTheOtherFollows()
    {
        var world = new World([new Episode(0, Trouble.Crash, 300, 60, 3)]);
        world.RunUntil(200);
        Assert.Equal((true, false), (world.Keeps(0), world.Keeps(1)));
        world.RunUntil(400);
        Assert.True(world.Keeps(1));
        Assert.Equal(3, world.Ready(1));
        Assert.Equal(3, world.Launches);
    }

    [Fact]
    public void WhateverHappensOneActsAtATimeAndTheFleetIsAsPlanned() => GenTroubles.Sample(troubles =>
    {
        var world = new World(troubles);
        world.RunUntil(1800);
        var keeper = world.Keeps(0) ? 0 : 1;
        Assert.True(world.Keeps(keeper));
        Assert.False(world.Keeps(1 - keeper));
        Assert.Equal(World.LastWanted, world.Machines);
        Assert.Equal(World.LastWanted, world.Ready(keeper));
        Assert.Equal(0, world.Ready(1 - keeper));
    }, iter: 300);

    [Fact]
    public void WhateverHappensThePoolIsThereOnceAndStopped() => GenTroubles.Sample(troubles =>
    {
        const int Pool = 2;
        var world = new World(troubles, Pool);
        // A loss at times, so that machines of the pool are started.
        world.LoseOneAt(200, 400, 600, 800, 1000);
        world.RunUntil(1800);
        var keeper = world.Keeps(0) ? 0 : 1;
        Assert.Equal(World.LastWanted + Pool, world.Machines);
        Assert.Equal((Pool, Pool), (world.StoppedMachines, world.Stopped(keeper)));
        Assert.Equal((World.LastWanted, 0), (world.Ready(keeper), world.Ready(1 - keeper)));
    }, iter: 300);

    private sealed class World
    {
        public const int LastWanted = 2;

        private readonly PriorityQueue<Action, (TimeSpan Due, int Sequence)> _events = new();
        private readonly FakeTimeProvider _clock = new(FleetWorld.Start);
        private readonly InMemoryFleetLease _lease;
        private readonly Host[] _hosts;
        private readonly Dictionary<string, InstanceDescriptor> _machines = [];
        private readonly Episode[] _troubles;
        private readonly int _pool;
        private TimeSpan _now;
        private int _sequence;
        private int _nextMachine;

        public World(Episode[] troubles, int pool = 0)
        {
            _troubles = troubles;
            _pool = pool;
            _lease = new InMemoryFleetLease(_clock);
            _hosts = [new Host(this, 0), new Host(this, 1)];
            foreach (var host in _hosts)
            {
                Schedule(TimeSpan.FromSeconds(host.Index), host.Begin);
            }
            foreach (var trouble in troubles.Where(t => t.Kind == Trouble.Crash))
            {
                Schedule(TimeSpan.FromSeconds(trouble.At), _hosts[trouble.Host].Die);
                Schedule(TimeSpan.FromSeconds(trouble.At + trouble.For), _hosts[trouble.Host].Begin);
            }
        }

        public int Launches { get; private set; }

        public int Machines => _machines.Count;

        public bool Keeps(int host) => _hosts[host].Keeps;

        public int StoppedMachines => _machines.Values.Count(m => m.State == InstanceState.Stopped);

        public int Ready(int host) => _hosts[host].Ready;

        public int Stopped(int host) => _hosts[host].Stopped;

        public void LoseOneAt(params int[] seconds)
        {
            foreach (var second in seconds)
            {
                Schedule(TimeSpan.FromSeconds(second), () =>
                {
                    if (_machines.Values.Where(m => m.OfferingName == "a" && m.State == InstanceState.Running).MinBy(m => m.Id) is { } lost)
                    {
                        Change(lost.Id, InstanceState.Terminated);
                    }
                });
            }
        }

        private void Run(string id)
        {
            if (_machines.TryGetValue(id, out var machine) && machine.State == InstanceState.Pending)
            {
                Change(id, InstanceState.Running);
            }
        }

        private void Change(string id, InstanceState state)
        {
            if (!_machines.Remove(id, out var machine))
            {
                return;
            }
            machine = machine with { State = state };
            if (state != InstanceState.Terminated)
            {
                _machines.Add(id, machine);
            }
            foreach (var host in _hosts)
            {
                host.Tell(machine);
            }
        }

        public void RunUntil(int seconds)
        {
            while (_events.TryPeek(out _, out var key) && key.Due <= TimeSpan.FromSeconds(seconds))
            {
                _clock.Advance(key.Due - _now);
                _now = key.Due;
                _events.Dequeue()();
            }
        }

        private int Wanted => _now > TimeSpan.FromSeconds(1200) ? LastWanted : _troubles.LastOrDefault(t => t.At <= _now.TotalSeconds, new Episode(0, Trouble.Pause, 0, 0, 3)).Wanted;

        private bool Suffers(int host, Trouble kind, out TimeSpan left)
        {
            left = TimeSpan.Zero;
            foreach (var t in _troubles.Where(t => t.Host == host && t.Kind == kind && t.At <= _now.TotalSeconds && t.At + t.For > _now.TotalSeconds))
            {
                left = TimeSpan.FromSeconds(t.At + t.For) - _now;
            }
            return left > TimeSpan.Zero;
        }

        private void Schedule(TimeSpan delay, Action what) => _events.Enqueue(what, (_now + delay, _sequence++));

        private void CheckOneActs(Host actor)
        {
            Assert.True(actor.Keeps);
            Assert.True(actor.KeepsUntil > _now);
            Assert.DoesNotContain(_hosts, host => host != actor && host.KeepsUntil > _now);
        }

        /// <summary>A process about a controller.</summary>
        private sealed class Host(World world, int index)
        {
            private readonly ScriptedPlanner _planner = new(1);
            private readonly InstanceOffering[] _offerings = world._pool > 0 ? [A, Standby] : [A];
            private FleetController? _controller;
            private string _holder = "";
            private TimeSpan _wakeAt;
            private int _life;

            public int Index => index;

            public bool Keeps => _controller?.IsKeeper == true;

            public int Ready => _controller?.Ready ?? 0;

            public int Stopped => _controller?.Stopped ?? 0;

            public TimeSpan KeepsUntil { get; private set; }

            private DateTimeOffset Now => FleetWorld.Start + world._now;

            public void Die()
            {
                _life++;
                _controller = null;
                KeepsUntil = TimeSpan.Zero;
            }

            public void Begin()
            {
                if (_controller is not null)
                {
                    return;
                }
                _holder = FormattableString.Invariant($"{index}-{_life}");
                _controller = new FleetController(
                    new FleetSettings
                    {
                        Fleet = "m", MinInstances = 0, MaxInstances = Max + world._pool, StandbyInstances = world._pool, ScaleInCooldown = TimeSpan.FromSeconds(60), IsLeased = true,
                        LaunchIdPrefix = $"{_holder}-",
                    },
                    _offerings, new FlatPredictor(), _planner, new CostLedger());
                for (var i = 0; i < _offerings.Length; i++)
                {
                    _controller.OnCapacity(Now, i, 100);
                }
                Ask();
                Tick();
            }

            private void Ask()
            {
                // The call is made now, and its answer takes a while, or is lost.
                var asked = world._now;
                if (!world.Suffers(index, Trouble.NoStore, out _))
                {
                    var held = world._lease.TryHoldAsync("m", _holder, Duration, default).AsTask().GetAwaiter().GetResult();
                    var until = asked + Duration * (2.0 / 3);
                    Later(1, () =>
                    {
                        KeepsUntil = held ? until : TimeSpan.Zero;
                        _controller!.OnLease(Now, held ? FleetWorld.Start + until : null);
                    });
                }
                Later(10, Ask);
            }

            private void Tick()
            {
                _planner.Wanted = [world.Wanted];
                _controller!.OnTick(Now);
                List();
                Later(60, Tick);
            }

            private void List()
            {
                var asked = Now;
                Later(0.5, () =>
                {
                    var listed = world._machines.Values.ToArray();
                    Later(0.5, () => _controller!.OnListed(Now, asked, listed));
                });
            }

            private void Carry()
            {
                while (_controller is not null && _controller.TryTakeCommand(out var command))
                {
                    var id = command.InstanceId!;
                    switch (command.Kind)
                    {
                        case FleetCommandKind.Launch:
                            world.CheckOneActs(this);
                            Launch(command.Launch!);
                            break;
                        case FleetCommandKind.Connect:
                            Later(5, () => _controller!.OnConnected(Now, id));
                            break;
                        case FleetCommandKind.Drain:
                            Later(10, () => _controller!.OnDrained(Now, id));
                            break;
                        case FleetCommandKind.Terminate:
                            world.CheckOneActs(this);
                            world.Schedule(TimeSpan.FromSeconds(0.5), () => world._machines.Remove(id));
                            Later(1, () => _controller!.OnTerminated(Now, id));
                            break;
                        case FleetCommandKind.Stop:
                            world.CheckOneActs(this);
                            world.Schedule(TimeSpan.FromSeconds(0.5), () => world.Change(id, InstanceState.Stopped));
                            Later(1, () => _controller!.OnStopped(Now, id));
                            break;
                        case FleetCommandKind.Start:
                            world.CheckOneActs(this);
                            world.Schedule(TimeSpan.FromSeconds(0.5), () => world.Change(id, InstanceState.Pending));
                            world.Schedule(Standby.ResumeDelay, () => world.Run(id));
                            Later(1, () => _controller!.OnStarted(Now, id));
                            break;
                        case FleetCommandKind.List:
                            List();
                            break;
                        case FleetCommandKind.WakeAt:
                            _wakeAt = command.At - FleetWorld.Start;
                            Later((_wakeAt - world._now).TotalSeconds, () =>
                            {
                                if (_wakeAt <= world._now)
                                {
                                    _controller!.OnWakeUp(Now);
                                }
                            });
                            break;
                        case FleetCommandKind.Fault:
                            throw command.Error!;
                        default:
                            break;
                    }
                }
            }

            private void Launch(LaunchRequest request)
            {
                world.Launches++;
                world.Schedule(TimeSpan.FromSeconds(0.5), () =>
                {
                    var machine = new InstanceDescriptor { Id = $"i-{++world._nextMachine}", LaunchId = request.LaunchId, OfferingName = request.OfferingName, BilledFrom = Now };
                    world._machines.Add(machine.Id, machine);
                    world.Schedule(A.LaunchDelay, () => world.Run(machine.Id));
                    Later(0.5, () => _controller!.OnLaunchAccepted(Now, request.LaunchId, machine));
                });
            }

            public void Tell(InstanceDescriptor machine) => Later(0.1, () => _controller!.OnInstanceChanged(Now, machine));

            private void Later(double seconds, Action what)
            {
                var life = _life;
                world.Schedule(TimeSpan.FromSeconds(Math.Max(0, seconds)), () => Run(life, what));
            }

            private void Run(int life, Action what)
            {
                if (life != _life || _controller is null)
                {
                    return;
                }
                if (world.Suffers(index, Trouble.Pause, out var left))
                {
                    world.Schedule(left, () => Run(life, what));
                    return;
                }
                what();
                Carry();
            }
        }
    }
}
