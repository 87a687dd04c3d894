"""The Python package: agents, environments and results.

PettingZoo, Gymnasium and pandas are tested where they are installed, the program where it is built.
"""

import importlib.util
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "Scripts" / "python"
sys.path.insert(0, str(PACKAGE))

if importlib.util.find_spec("numpy") is None:
    raise unittest.SkipTest("numpy is not installed")

import numpy as np  # noqa: E402
import veclab  # noqa: E402
from veclab.agent import Session  # noqa: E402

TRACE = ROOT / "Traces" / "motorway.fcd.xml.gz"
ROAD = ROOT / "Traces" / "two-way-road.fcd.xml.gz"


def built_program():
    """The newest program that knows `environment`; None without one."""
    candidates = [os.environ.get("VECLAB"), ROOT / ".build/release/veclab", ROOT / ".build/debug/veclab"]
    found = [path for path in candidates if path and os.access(path, os.X_OK)]
    found.sort(key=lambda path: os.stat(path).st_mtime)
    return str(found[-1]) if found else None


PROGRAM = built_program()


def needs(module):
    return unittest.skipUnless(importlib.util.find_spec(module), f"{module} is not installed")


def examples():
    """Every JSON line of AGENTS.md."""
    text = (ROOT / "Experiments" / "AGENTS.md").read_text(encoding="utf-8")
    blocks = text.split("```json\n")[1:]
    return [line for block in blocks for line in block.split("```")[0].splitlines()]


def exchange(kind, messages):
    """What an agent answers to messages."""
    written = io.BytesIO()
    session = Session(kind, io.BytesIO("".join(json.dumps(m) + "\n" for m in messages).encode()), written)
    session.run()
    return [json.loads(line) for line in written.getvalue().splitlines()]


def example(kind, number=0):
    return [json.loads(line) for line in examples() if json.loads(line).get("type") == kind][number]


class ProtocolTests(unittest.TestCase):
    """What AGENTS.md shows is what the package reads and writes."""

    def test_examples_of_the_document_are_messages(self):
        kinds = {json.loads(line).get("type") for line in examples()}
        self.assertLessEqual(
            {"hello", "ready", "episode", "decide", "act", "learn", "end_episode", "done", "save", "saved"}
            | {"restore", "restored", "end"},
            kinds,
        )

    def test_an_agent_of_model_1(self):
        seen = []

        class Agent(veclab.Agent):
            def decide(self, situation):
                seen.append(situation)
                # Numbers of numpy must come out as JSON.
                return np.array([3, 62])

            def learn(self, step):
                seen.append(step)

            def end_episode(self):
                return {"loss": np.float32(0.25), "steps": 2}

            def save(self, path):
                seen.append(path)

            def restore(self, path):
                seen.append(path)

        answers = exchange(
            Agent,
            [example(kind) for kind in ["hello", "restore", "episode", "decide", "learn", "end_episode", "save", "end"]],
        )
        self.assertEqual(answers[0], {"type": "ready", "protocol": 1, "checkpoint": True})
        self.assertEqual(answers[1], {"type": "restored"})
        self.assertEqual(answers[2], example("act"))
        self.assertEqual(answers[3], {"type": "done", "loss": 0.25, "steps": 2})
        self.assertEqual(answers[4], {"type": "saved"})
        _, situation, step, _ = seen
        self.assertEqual(situation.observations.shape, (2, 7))
        self.assertEqual(situation.observations.dtype, np.float32)
        self.assertEqual(situation.state.shape, (14,))
        self.assertTrue(situation.reach.all())
        self.assertEqual(situation.action_masks.sum(axis=1).tolist(), [36, 63])
        self.assertEqual((step.reward, step.last, list(step.actions)), (-41.5, False, [3, 62]))
        self.assertEqual(step.next.slot, 1)
        with self.assertRaisesRegex(AttributeError, "sees: slot"):
            situation.client_backlogs

    def test_masks(self):
        hello = example("hello")
        scenario = veclab.agent.scenario_of(hello["scenario"], "single-rsu")
        message = {"slot": 0, "reach": [[1, 1, 0], [1, 1, 1]], "tasks": [1, 0]}
        masks = veclab.SlotSituation(message, scenario).action_masks
        self.assertEqual(masks.shape, (2, 63))
        first = np.flatnonzero(masks[0])
        self.assertEqual(len(first), 24)
        self.assertTrue(set(first % 3) == {0, 1} and first.max() < 36)
        self.assertEqual(np.flatnonzero(masks[1]).tolist(), [0])

    def test_an_agent_of_model_2(self):
        scenario = {
            "rsus": 2, "vehicles": 5, "slots": 600, "observation_size": 23, "request_size": 11, "link_size": 6,
            "types": ["a"], "layers": [15], "vehicle_frequency_hz": 3e9, "rsu_frequency_hz": 7e9,
            "local_work_flop": [[]], "remote_work_flop": [[]], "cut_bits": [[]], "deadline_s": [1],
        }  # fmt: skip
        hello = {**example("hello"), "model": "road-rsu", "scenario": scenario}
        actions = []

        class Agent(veclab.Agent):
            def decide(self, situation):
                self.test(situation)
                return situation.action(4, 1, 0.5, 1.0)

            def test(self, situation):
                actions.append(situation.flat_action([-1, 1, 1, 1]))
                actions.append(situation.flat_action([1, 1, 1, 1]))
                actions.append(situation.action(4, 2))

        answers = exchange(Agent, [hello, example("decide", 1), {"type": "end"}])
        self.assertEqual(
            answers[1],
            {"type": "act", "cut": 4, "rsu": 1, "vehicle_frequency_hz": 0.55 * 3e9, "rsu_frequency_hz": 7e9},
        )
        self.assertEqual([(a["cut"], a["rsu"]) for a in actions], [(0, 1), (15, 0), (15, 0)])

    def test_what_goes_wrong_is_said(self):
        class Agent(veclab.Agent):
            def decide(self, situation):
                return [float("nan")]

        with self.assertRaises(ValueError):
            exchange(Agent, [example("hello"), example("decide")])
        with self.assertRaisesRegex(veclab.VeclabError, "protocol 2, this package 1"):
            exchange(Agent, [{**example("hello"), "protocol": 2}])
        with self.assertRaisesRegex(veclab.VeclabError, "before 'hello'"):
            exchange(Agent, [example("decide")])

    def test_serve_keeps_standard_output_for_messages(self):
        code = """
            import veclab
            class Agent(veclab.Agent):
                def decide(self, situation):
                    print("a line for the log")
                    raise RuntimeError("no idea")
            veclab.serve(Agent)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            input="".join(json.dumps(example(kind)) + "\n" for kind in ["hello", "decide"]),
            capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        )  # fmt: skip
        self.assertEqual(done.returncode, 1)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(lines[-1], {"type": "error", "message": "RuntimeError: no idea"})
        self.assertEqual(len(lines), 2)
        self.assertIn("a line for the log", done.stderr)
        self.assertIn("Traceback", done.stderr)


class ProgramTests(unittest.TestCase):
    """The package with the program."""

    @classmethod
    def setUpClass(cls):
        if not PROGRAM:
            raise unittest.SkipTest("the program is not built")
        os.environ["VECLAB"] = PROGRAM
        cls.folder = tempfile.TemporaryDirectory()
        cls.before = os.getcwd()
        # Traces are imported into Results of the working folder.
        os.chdir(cls.folder.name)
        os.symlink(ROOT / "Experiments" / "dnn", "dnn")
        cls.file = cls.write(
            "slots.yaml",
            f"""
            experiment: slots
            model: single-rsu
            trace: {TRACE}
            parameters: {{serviceVehicles: 2, slots: 8, evaluationEpisodes: 3}}
            grid: {{product: {{clients: [2, 3], algorithm: [rsu-only]}}, seeds: 2}}
            figures: [{{id: delay, x: clients, y: mean_delay_s}}]
            """,
        )
        cls.road = cls.write(
            "road.yaml",
            f"""
            experiment: road
            model: road-rsu
            trace: {ROAD}
            parameters: {{vehicles: 4, slots: 100, releaseRate: 0.4, evaluationEpisodes: 3}}
            grid: {{product: {{algorithm: [leo]}}}}
            """,
        )

    @classmethod
    def tearDownClass(cls):
        os.chdir(cls.before)
        cls.folder.cleanup()

    @classmethod
    def write(cls, name, text):
        path = pathlib.Path(cls.folder.name) / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def sweep(self, file):
        done = subprocess.run([PROGRAM, "run", file, "--workers", "1"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def rows(self, experiment, **parameters):
        """Rows of `episodes.csv` of the run with these parameters."""
        for path in (pathlib.Path("Results") / experiment / "runs").glob("*/result/run.json"):
            run = json.loads(path.read_text())["run"]["parameters"]
            if all(run[key] == value for key, value in parameters.items()):
                lines = (path.parent / "episodes.csv").read_text().splitlines()
                return [dict(zip(lines[0].split(","), line.split(","))) for line in lines[1:]]
        self.fail(f"no run with {parameters}")

    def compare(self, measures, row):
        for key, value in measures.items():
            if value is None:
                self.assertEqual(row[key], "", key)
            else:
                self.assertEqual(float(row[key]), value, key)

    def test_episodes_are_those_of_a_run(self):
        self.sweep(self.file)
        simulation = veclab.Simulation(self.file, clients=3, seed=2)
        for episode, row in enumerate(self.rows("slots", clients=3, seed=2), 1):
            situation, last = simulation.begin(episode, "eval"), False
            while not last:
                self.assertEqual(situation.observations.shape, (3, 7))
                _, situation, last, measures = simulation.act(actions=[0, 0, 0])
            self.compare(measures["episode"], row)
        simulation.set_seed(1)
        simulation.begin(1, "eval")
        for _ in range(8):
            measures = simulation.act(actions=[0, 0, 0])[3]
        self.compare(measures["episode"], self.rows("slots", clients=3, seed=1)[0])
        simulation.close()

        self.sweep(self.road)
        simulation = veclab.Simulation(self.road)
        for episode, row in enumerate(self.rows("road"), 1):
            situation, last = simulation.begin(episode, "eval"), False
            while not last:
                _, situation, last, measures = simulation.act(cut=situation.layers, rsu=0)
            self.compare(measures["episode"], row)
        simulation.close()

    def test_errors_carry_the_programs_own_sentence(self):
        def sentence(**parameters):
            with self.assertRaises(veclab.VeclabError) as caught:
                veclab.Simulation(self.file, **parameters)
            return str(caught.exception)

        self.assertIn("is varied by", sentence())
        self.assertIn("clients=2", sentence())
        self.assertIn("Did you mean 'clients'?", sentence(client=2))
        self.assertIn("whole number", sentence(clients=0))
        self.assertIn("--sees", sentence(clients=2, sees="all"))
        simulation = veclab.Simulation(self.file, clients=2)
        with self.assertRaisesRegex(veclab.VeclabError, "needs an episode that has begun"):
            simulation.act(actions=[0, 0])
        simulation.begin(1)
        with self.assertRaisesRegex(veclab.VeclabError, "must be 2, one for each client"):
            simulation.act(actions=[0])
        # It goes on after a wrong decision.
        self.assertFalse(simulation.act(actions=[0, 0])[2])
        simulation.close()
        with self.assertRaisesRegex(veclab.VeclabError, "closed"):
            simulation.begin(1)

    def test_the_child_does_not_outlive_python(self):
        code = f"""
            import os, time, veclab
            simulation = veclab.Simulation({str(self.file)!r}, clients=2)
            if os.fork() == 0:
                time.sleep(60)   # Holds the pipes open.
            print(simulation._process.pid, flush=True)
            time.sleep(60)
        """
        python = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(PACKAGE)}, start_new_session=True,
        )  # fmt: skip
        child = int(python.stdout.readline())
        python.kill()
        python.wait()
        try:
            for _ in range(100):
                if not os.path.exists(f"/proc/{child}"):
                    break
                time.sleep(0.05)
            self.assertFalse(os.path.exists(f"/proc/{child}"))
        finally:
            os.killpg(python.pid, signal.SIGKILL)
            python.stdout.close()

    @needs("pettingzoo")
    def test_pettingzoo(self):
        from pettingzoo.test import parallel_api_test, parallel_seed_test

        env = veclab.parallel_env(self.file, clients=3)
        parallel_api_test(env, num_cycles=30)
        parallel_seed_test(lambda: veclab.parallel_env(self.file, clients=3), num_cycles=20)
        self.assertEqual(env.possible_agents, ["client_1", "client_2", "client_3"])
        observations, _ = env.reset(seed=2, options={"episode": 1, "phase": "eval"})
        state = np.concatenate([observations[agent]["observation"] for agent in env.agents])
        self.assertTrue((env.state() == state).all())
        env.close()

    @needs("gymnasium")
    def test_gymnasium(self):
        from gymnasium.utils.env_checker import check_env

        for flat in [False, True]:
            env = veclab.gym_env(self.road, flat=flat)
            check_env(env, skip_render_check=True)
            env.close()

    @needs("pandas")
    def test_results_are_data_frames(self):
        self.sweep(self.file)
        subprocess.run([PROGRAM, "figures", self.file], capture_output=True, check=True)
        results = veclab.results("Results/slots")
        self.assertEqual(len(results.runs), 4)
        self.assertEqual(list(results.runs.columns[:4]), ["run", "algorithm", "clients", "seed"])
        self.assertEqual(len(results.episodes), 12)
        mean = results.episodes.groupby("clients")["mean_delay_s"].mean()
        figure = results.figures["delay"].set_index("x")["mean"]
        self.assertTrue(np.allclose(mean, figure, rtol=1e-12))
        with self.assertRaisesRegex(veclab.VeclabError, "backlogs.csv"):
            results.slots
        with self.assertRaisesRegex(veclab.VeclabError, "no folder 'runs'"):
            veclab.results("Results")


if __name__ == "__main__":
    unittest.main()
