/**
 * Users, roles and profiles of the embedded engine: the second wall before statements of users.
 *
 * chDB has one user and no way to be another, but it takes roles from a users file. The user has two: `owner`, with which our own statements run, and
 * `reader`, which `SET ROLE` leaves alone with. A grant holds at every depth of a statement, where (measured on chDB 26.7) constraints of
 * settings are checked only at the top. What the reader has no grant for, no setting gives back.
 */

export const READER_ROLE = 'rogue_smtp_reader';
export const READER_PROFILE = 'rogue_smtp_reader';
const OWNER_ROLE = 'rogue_smtp_owner';

/** Columns of system tables for readers: none that tells where things lie. */
const SYSTEM_GRANTS: Readonly<Record<string, string>> = {
  tables:
    'database, name, uuid, engine, is_temporary, create_table_query, engine_full, as_select, partition_key, sorting_key, primary_key, sampling_key, total_rows, total_bytes, total_bytes_uncompressed, parts, active_parts, comment, has_own_data, table, metadata_modification_time',
  databases: 'name, engine, uuid, comment, database',
  parts:
    'partition, name, uuid, part_type, active, marks, rows, bytes_on_disk, data_compressed_bytes, data_uncompressed_bytes, marks_bytes, modification_time, min_date, max_date, min_time, max_time, partition_id, level, primary_key_bytes_in_memory, database, `table`, engine, bytes, marks_size',
  columns: '',
  functions: '',
  formats: '',
  one: '',
  numbers: '',
  data_type_families: '',
  table_functions: '',
  settings: '',
};

/** Settings that name files or servers, open the inside. Rows, time and `readonly` are set before the role is taken. */
const FIXED = [
  'allow_introspection_functions',
  'format_schema',
  'format_template_resultset',
  'format_template_row',
  'format_template_resultset_format',
  'format_template_row_format',
  'format_avro_schema_registry_url',
  'input_format_record_errors_file_path',
  'errors_output_format',
  'max_bytes_before_external_sort',
  'max_bytes_before_external_group_by',
  'max_bytes_ratio_before_external_sort',
  'max_bytes_ratio_before_external_group_by',
];

/** The users file. `database`: ours, a plain name. */
export function usersConfiguration(database: string): string {
  const grant = (what: string) => `<query>GRANT ${what}</query>`;
  const system = Object.entries(SYSTEM_GRANTS).map(([table, columns]) =>
    grant(`SELECT${columns === '' ? '' : `(${columns})`} ON system.${table}`),
  );
  return `<clickhouse>
  <profiles>
    <default>
      <allow_introspection_functions>0</allow_introspection_functions>
    </default>
    <${READER_PROFILE}>
      <constraints>
        ${FIXED.map((name) => `<${name}><const/></${name}>`).join('\n        ')}
      </constraints>
    </${READER_PROFILE}>
  </profiles>
  <roles>
    <${OWNER_ROLE}><grants>${grant('ALL ON *.*')}</grants></${OWNER_ROLE}>
    <${READER_ROLE}><grants>
      ${[grant(`SELECT ON ${database}.*`), grant(`SHOW ON ${database}.*`), ...system].join('\n      ')}
    </grants></${READER_ROLE}>
  </roles>
  <users>
    <default>
      <password/>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>${grant(OWNER_ROLE)}${grant(READER_ROLE)}</grants>
    </default>
  </users>
  <quotas><default/></quotas>
</clickhouse>
`;
}
