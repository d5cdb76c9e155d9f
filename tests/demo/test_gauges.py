"""What is read off the processes' metrics."""

from playhead.demo.gauges import lag_of, outcomes_of

METRICS = """
# HELP playhead_projection_lag_records Records in Kafka that are not applied
# TYPE playhead_projection_lag_records gauge
playhead_projection_lag_records{partition="0",projection="redis",topic="playback.events"} 12.0
playhead_projection_lag_records{partition="1",projection="redis",topic="playback.events"} 3.0
playhead_projection_records_total{projection="redis",topic="playback.events"} 900.0
"""


def test_the_lag_of_a_store_is_the_sum_over_its_partitions() -> None:
    assert lag_of(METRICS.splitlines()) == 15


def test_a_process_that_was_given_no_partitions_yet_does_not_know_its_lag() -> None:
    assert lag_of([]) is None


def test_tries_of_payment_requests_are_counted_by_their_outcome() -> None:
    metrics = [
        "# TYPE playhead_payment_requests_total counter",
        'playhead_payment_requests_total{method="POST",outcome="201",path="/v1/charges"} 9.0',
        'playhead_payment_requests_total{method="POST",outcome="no_reply",path="/v1/charges"} 2.0',
        'playhead_payment_requests_total{method="POST",outcome="201",path="/v1/refunds"} 3.0',
        'playhead_payment_requests_created{method="POST",outcome="201",path="/v1/refunds"} 1.7e9',
    ]
    assert outcomes_of(metrics) == {"201": 12, "no_reply": 2}
