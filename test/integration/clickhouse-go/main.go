// Reads the store as Grafana's ClickHouse data source does: clickhouse-go over HTTP with gzip.
// Prints what it got as JSON; the test beside it says what that must be.
package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address, token string) error {
	db := clickhouse.OpenDB(&clickhouse.Options{
		Addr:        []string{address},
		Auth:        clickhouse.Auth{Database: "default", Username: "default", Password: token},
		Protocol:    clickhouse.HTTP,
		Compression: &clickhouse.Compression{Method: clickhouse.CompressionGZIP},
		Settings:    clickhouse.Settings{"max_execution_time": 10},
		DialTimeout: 10 * time.Second,
		ReadTimeout: 60 * time.Second,
	})
	defer db.Close()
	if err := db.Ping(); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	all := map[string][]map[string]any{}
	for name, query := range map[string]string{
		"series": "SELECT toStartOfInterval(received_at, INTERVAL 60 SECOND) AS time, count() AS flows FROM flows " +
			"WHERE received_at >= toDateTime64('2026-03-01 00:00:00', 3, 'UTC') GROUP BY time ORDER BY time",
		"table":  "SELECT toString(src_addr) AS host, dst_port, [bytes, packets] AS both, toLowCardinality('x') AS low, NULL AS none FROM flows ORDER BY host",
		"tables": "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE 'mail%' ORDER BY name",
		"none":   "SELECT src_addr FROM flows WHERE dst_port = 1",
	} {
		rows, err := db.Query(query)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if all[name], err = read(rows); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if _, err := db.Query("SELECT nothing FROM flows"); err != nil {
		all["error"] = []map[string]any{{"text": err.Error()}}
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

func read(rows *sql.Rows) ([]map[string]any, error) {
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	found := []map[string]any{}
	for rows.Next() {
		values := make([]any, len(names))
		places := make([]any, len(names))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			return nil, err
		}
		row := map[string]any{}
		for i, name := range names {
			row[name] = values[i]
		}
		found = append(found, row)
	}
	return found, rows.Err()
}
