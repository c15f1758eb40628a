interface GrafanaVariables {
  readonly namespace: string;
  readonly node: string;
  /** Seconds between two scrapes, as configured in the data source. */
  readonly scrapeInterval: number;
  /** Seconds between two points of the graph. */
  readonly interval: number;
}

/**
 * What Grafana sends of a panel's query. $__rate_interval is the larger of four scrapes, and a point and a scrape:
 * https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/
 */
export function substituted(query: string, variables: GrafanaVariables): string {
  const { namespace, node, scrapeInterval, interval } = variables;
  const rateInterval = Math.max(interval + scrapeInterval, 4 * scrapeInterval);
  const values = new Map([
    ['namespace', namespace],
    ['node', node],
    ['__rate_interval', `${Math.ceil(rateInterval)}s`],
  ]);
  return query.replaceAll(/\$(\w+)/g, (written, name: string) => values.get(name) ?? written);
}
