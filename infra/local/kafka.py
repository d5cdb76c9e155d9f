"""Kafka as one KRaft node that is its own controller, durable but small, without topics that create themselves."""

import base64
import hashlib
from pathlib import Path

from infra.local import probes
from infra.local.ports import LOOPBACK
from infra.local.processes import Launch, run_once
from infra.local.server import Site

_JVM = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-Djava.awt.headless=true")

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
# A killed broker is let in again only when the session of its former self has run out, by default after 9 s.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=8
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# The default of 128 MB would be half of this small heap.
log.cleaner.dedupe.buffer.size=16777216
"""

_LOGGING = """\
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %-5p %c{1}: %m%n
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
logger.kafka.name=kafka.server
logger.kafka.level=info
# It prints every setting at the start.
logger.settings.name=org.apache.kafka.common.config.AbstractConfig
logger.settings.level=warn
"""


class Kafka:
    """The broker; "kafka" is the port for clients, "kafka_controller" the one it talks to itself on."""

    name = "kafka"
    port_names = ("kafka", "kafka_controller")
    needs_java = True

    def prepare(self, site: Site) -> Launch:
        """Write the configuration and, the first time, format the data directory."""
        jars = site.resolved(self.name)
        data = site.home / "data"
        data.mkdir(parents=True, exist_ok=True)
        properties = site.home / "server.properties"
        properties.write_text(server_properties(data, site.ports["kafka"], site.ports["kafka_controller"]))
        logging = site.home / "log4j2.properties"
        logging.write_text(_LOGGING)
        classes = ("-cp", f"{jars}/*")
        if not (data / "meta.properties").exists():
            site.say("kafka: formatting its data directory")
            tool = (str(site.jre), *classes, "kafka.tools.StorageTool")
            format_once = (*tool, "format", "-t", cluster_id(data), "-c", str(properties))
            run_once(format_once, what="Formatting Kafka's data directory")
        log_option = f"-Dlog4j2.configurationFile={logging.as_uri()}"
        command = (str(site.jre), *_JVM, log_option, *classes, "kafka.Kafka", str(properties))
        return Launch(command, site.home)

    def serves(self, port: int) -> bool:
        """Whether the broker is registered and answers a metadata request."""
        return probes.kafka_serves(port)


def server_properties(data: Path, port: int, controller_port: int) -> str:
    """The broker's configuration for this data directory and these ports."""
    return _PROPERTIES.format(host=LOOPBACK, data=data, port=port, controller_port=controller_port)


def cluster_id(data: Path) -> str:
    """An id in Kafka's form (16 bytes, base64url) that belongs to the data directory."""
    # Kafka refuses ids that start with a dash, which a first byte of 0 never gives.
    raw = b"\0" + hashlib.sha256(str(data).encode()).digest()[:15]
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
