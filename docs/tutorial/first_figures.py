# %% [markdown]
# # From samples to TRS and to the tail of a latency, by hand and by the API
#
# Open this file as a notebook (VS Code, PyCharm, Spyder and Jupyter with jupytext read `# %%` cells), or run it whole.
# It needs `pip install httpx2 numpy` and a plant: `make demo` in another terminal, which prints its address.
# After some minutes there is enough to see. You compute each figure yourself, then ask the platform for it.

# %%
import csv
import io
import os
import time

import httpx2
import numpy as np

BASE = os.environ.get("KM0_ADDRESS", "http://127.0.0.1:8080").rstrip("/")
TOKEN = os.environ.get("KM0_TOKEN")  # where people log in: a token from the page "Account"
api = httpx2.Client(
    base_url=f"{BASE}/api/v1", headers={"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}, timeout=60
)


def get(path, **query):
    """The JSON of an answer; an error says in its `detail` how to put it right."""
    answer = api.get(path, params=query)
    if answer.status_code != 200:
        raise SystemExit(answer.json()["detail"])
    return answer.json()


# %% [markdown]
# ## 1. What is there
# Every machine and link has a path: site/area/line/asset.

# %%
plant = get("/plant")
machines = get("/assets", kind="machine")
print(plant["name"], plant["timezone"], [machine["path"] for machine in machines])

# %% [markdown]
# ## 2. Availability of an hour, by hand
# `states` tells what a machine did, stretch by stretch, and UNKNOWN where nobody knows. Do (availability) is running
# time over required time (NF E60-182); time that nobody knows is in neither, and lowers the coverage instead.
# We take the newest hour of each machine in which no break was planned.


# %%
def newest_hour(machine):
    """The newest hour with a figure whose whole known time was required; None while there is none."""
    values = get("/kpi-values", asset=machine, kpi="do", kind="hour")["values"]
    required = {
        one["start"]: one for one in get("/kpi-values", asset=machine, kpi="required_time", kind="hour")["values"]
    }
    planned = {
        one["start"]: one for one in get("/kpi-values", asset=machine, kpi="opening_time", kind="hour")["values"]
    }
    for value in reversed(values):
        start = value["start"]
        whole = start in required and required[start]["value"] == planned[start]["value"]
        if value["final"] and value["value"] is not None and whole:
            return value
    return None


def seconds(start, end):
    """Between two ISO times, to the nanosecond."""
    return float((np.datetime64(end[:-1]) - np.datetime64(start[:-1])) / np.timedelta64(1, "s"))


for machine in machines:
    hour = newest_hour(machine["path"])
    if hour is None:
        print(machine["name"], "has no whole hour yet: come back later")
        continue
    stretches = get("/states", asset=machine["path"], **{"from": hour["start"], "to": hour["end"]})["states"]
    known = running = 0.0
    for one in stretches:
        inside = seconds(max(one["start"], hour["start"]), min(one["end"], hour["end"]))
        known += inside if one["state"] != "UNKNOWN" else 0.0
        running += inside if one["state"] == "EXECUTING" else 0.0
    print(f"{machine['name']}: Do by hand {running / known:.4f}, by the API {hour['value']:.4f}")

# %% [markdown]
# ## 3. A ratio of sums is not a mean of ratios
# The plant's TRS is useful time over required time of all machines: each value brings numerator and denominator.

# %%
answer = api.get(
    "/kpi-values.csv",
    params={"asset": [machine["path"] for machine in machines], "kpi": ["trs"], "kind": "hour"},
)
rows = [row for row in csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))) if row["value"]]
if rows:
    numerators, denominators = (np.array([float(row[name]) for row in rows]) for name in ("numerator", "denominator"))
    right = numerators.sum() / denominators.sum()
    wrong = np.mean([float(row["value"]) for row in rows])
    print(f"TRS of the plant {right:.4f}; the mean of the hours' TRS would say {wrong:.4f}")

# %% [markdown]
# ## 4. The tail of a 5G link
# A control loop cares for the slowest packets. Lost ones are infinitely late, so they count in the tail.
# The platform adds up histograms (0.4 % wide buckets), so a week costs as little as an hour.

# %%
for link in get("/assets", kind="link"):
    found = get("/links/latency", asset=link["path"])
    if not found["answered"]:
        print(link["name"], "has no whole hour yet")
        continue
    answer = api.get(
        "/samples.csv",
        params={"asset": link["path"], "metric": ["rtt"], "from": found["start"], "to": found["end"]},
    )
    rtt = np.array([float(row["value"]) for row in csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))])
    by_hand = np.sort(np.append(rtt, np.full(found["lost"], np.inf)))
    for name, q in (("p50", 0.5), ("p99", 0.99)):
        if found["percentiles_ms"][name] is not None:
            rank = int(np.ceil(q * len(by_hand))) - 1
            told = found["percentiles_ms"][name]
            print(f"{link['name']}: {name} by hand {by_hand[rank]:.2f} ms, by the API {told:.2f} ms")

# %% [markdown]
# ## 5. A spreadsheet becomes a diagnosis
# Four hours of a press: three running, one stopped; 150 parts, 140 good, one each minute at best. By hand the TRS is
# 140 × 60 s ÷ 14 400 s = 58.3 %. A token needs the scope `write` for this part.

# %%
SHEET = """Date;État;Quantité;Bonnes;Motif
02/11/2026 08:00:00;Marche;0;0;
02/11/2026 10:00:00;Arrêt;100;90;bourrage
02/11/2026 11:00:00;Marche;100;90;
02/11/2026 12:00:00;Marche;150;140;
"""
number = api.post("/diagnoses", params={"name": "presse.csv"}, content=SHEET.encode()).raise_for_status().json()["id"]
proposal = get(f"/diagnoses/{number}/proposal")
for guess in proposal["guesses"]:
    print(f"{guess['field']} = {guess['value']}, because {guess['why']['en']}")
mapping = proposal["mapping"]
mapping["machine"] |= {"cycle_s": {"*": 60.0}, "hourly_cost": 50.0}
api.post(f"/diagnoses/{number}/run", json=mapping).raise_for_status()
while get(f"/diagnoses/{number}")["state"] == "running":
    time.sleep(0.2)
result = get(f"/diagnoses/{number}/result")
figures = {figure["kpi"]: figure["value"] for figure in result["figures"]}
print(
    f"TRS of the press {figures['trs']:.4f} = Do {figures['do']:.4f} × Tp {figures['tp']:.4f} × Tq {figures['tq']:.4f}"
)
for bar in result["by_category"]:
    print(f"lost to {bar['name']}: {bar['seconds'] / 3600:.2f} h, {bar['cost']:.2f} €")

# %% [markdown]
# The report to print is at `/diagnoses/…/report.pdf` (where the extra `reports` is installed). What you brought is
# taken away with:

# %%
api.delete(f"/diagnoses/{number}").raise_for_status()
