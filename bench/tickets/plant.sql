-- Filled in by bench/tickets/plant.py, in this order.
insert into queue (key, name, default_priority, default_language, first_line, last_line, public_lines, version)
select key, key, 2, 'ru', 1, 3, '{1,2}', 1 from unnest({queues}) key on conflict do nothing;

insert into agent (id, name, language, lines, queues, leads, management, active, version)
select 'agent' || n, 'Agent ' || n, 'ru', '{}', '{}', '{}', false, true, 1 from generate_series(1, {agents}) n;

insert into customer (id, name, tier, organisation, created_time)
select md5('customer' || i)::uuid, initcap(a.word) || ' ' || initcap(b.word),
    case when i % 50 = 0 then 2 else 1 end, case when i % 3 = 0 then 'org' || i % 2000 else '' end, now()
from generate_series(1, {customers}) i
join planted_word a on a.n = i % 400 join planted_word b on b.n = 400 + i % 5000;

insert into contact (channel, address, customer_id)
select 1, 'user' || n || '@client.example', md5('customer' || n)::uuid from generate_series(1, {customers}) n;

create unlogged table planted as
select n, md5('ticket' || n)::uuid as id, age, is_open, chance,
    ({queues})[case when random() < 0.6 then 1 when random() < 0.6 then 2 when random() < 0.6 then 3 else 4 end]
        as queue,
    case when is_open then (array['new', 'in_progress', 'in_progress', 'waiting', 'escalated'])[
        1 + floor(chance * 5)::int] when age < interval '3 days' then 'resolved' else 'closed' end as status,
    1 + (power(random(), 2) * ({agents} - 1))::int as agent,
    1 + (power(random(), 3) * ({customers} - 1))::int as customer,
    (power(random(), 3) * 29)::int as component, (power(random(), 2) * 11)::int as category,
    least({most}, 1 + (-ln(1 - random()) * 4)::int) as messages
from (
    select n, interval '2 years' * (1 - n::float / {tickets}) as age, random() as chance,
        random() < case when n > {tickets} * 0.94 then 0.75 else 0.006 end as is_open
    from generate_series(1, {tickets}) n
) drawn;

insert into ticket (id, queue, number, version, customer_id, subject, type, category, component, edition,
    language, priority, status, status_kind, line, assignee, customer_number, channel, account, tags, cycle,
    message_count, parent_ticket_id, origin, created_time, updated_time, resolved_time, closed_time, fields,
    due_time, body)
select id, queue, planted.n, 3, md5('customer' || customer)::uuid,
    initcap(a.word) || ' ' || b.word || ' ' || c.word || ' ' || planted.n,
    1 + planted.n % 5, 'topic' || category || '/part' || planted.n % 5,
    case when planted.n % 3 > 0 then 'component' || component else '' end, '', 'ru',
    (array[1, 1, 2, 2, 2, 2, 3, 3, 4])[1 + planted.n % 9], status,
    case status when 'new' then 1 when 'in_progress' then 2 when 'waiting' then 3 when 'escalated' then 4
        when 'resolved' then 5 else 6 end,
    case when status = 'escalated' or planted.n % 4 = 0 then 2 when planted.n % 50 = 0 then 3 else 1 end,
    case when status in ('new', 'escalated') then '' else 'agent' || agent end, '', 1, 'help@desk.example',
    case when planted.n % 5 = 0 then array['tag' || (power(chance, 3) * 200)::int] else '{}' end, 1, messages,
    '', '', now() - age, now() - age / 2, case when not is_open then now() - age / 2 end,
    case when status = 'closed' then now() - age / 2 end,
    case when planted.n % 3 = 0
        then jsonb_build_object('product', jsonb_build_object('text', 'p' || planted.n % 40)) else '{}' end,
    case when is_open and status <> 'waiting' then now() + (chance - 0.2) * interval '3 days'
        else '9999-01-01T00:00:00Z' end,
    jsonb_build_object(
        'observers', array['agent' || agent],
        'conversations', array[jsonb_build_object('id', id::text, 'channel', 1, 'account', 'help@desk.example',
            'address', 'user' || customer || '@client.example')],
        'timeline', array[jsonb_build_object('kind', 'created', 'time', 0, 'priority', 2, 'line', 1,
            'status', 'new', 'status_kind', 1)])
from planted join planted_word a on a.n = planted.n % 997 join planted_word b on b.n = planted.n % 7919
join planted_word c on c.n = planted.n % 27644;

insert into ticket_clock (ticket_id, clock, cycle, state, due_time, met_time, breached, last_mark, version,
    as_of_time)
select t.id, clock, 1,
    case when t.status_kind > 4 then 'met' when t.status = 'waiting' then 'paused' else 'running' end,
    case when t.due_time < '9999-01-01T00:00:00Z' then t.due_time + later end, t.resolved_time,
    case when t.status_kind > 4 then number % 12 = 0 else t.due_time + later < now() end, '', 3, t.created_time
from ticket t, (values ('first_response', interval '0'), ('resolution', interval '4 hours')) c (clock, later);

insert into clock_result (ticket_id, clock, cycle, met_time, breached, elapsed_seconds, line, assignee, version,
    as_of_time)
select ticket_id, clock, 1, met_time, breached, extract(epoch from met_time - t.created_time) / 3, t.line,
    t.assignee, 3, met_time
from ticket_clock k join ticket t on t.id = k.ticket_id where state = 'met';

insert into ticket_span (ticket_id, from_time, to_time, cycle, status, status_kind, line, assignee)
select id, created_time, created_time + interval '5 minutes', 1, 'new', 1, 1, '' from ticket where status <> 'new'
union all
select id, created_time + interval '5 minutes', resolved_time, 1, 'in_progress', 2, line, assignee
from ticket where resolved_time > created_time + interval '5 minutes';

insert into ticket_cycle (ticket_id, cycle, began_time, highest_line, taken_time, taken_by, taken_line,
    replied_time, replied_by, replied_line, resolved_time, resolved_by, resolved_line, closed_time, reopened_time,
    rated_time, score, escalated, came_back)
select id, 1, created_time, line, created_time + interval '5 minutes', assignee, 1,
    created_time + interval '15 minutes', assignee, line, resolved_time, assignee, line, closed_time,
    case when number % 20 = 0 then closed_time + interval '1 hour' end,
    case when number % 10 = 0 then closed_time end,
    case when number % 10 = 0 and closed_time is not null then 25 * (number / 10 % 5) end, line > 1,
    number % 3 = 0
from ticket where status <> 'new';

insert into message (id, ticket_id, author_kind, author_id, author_name, visibility, text, attachments, channel,
    created_time)
select md5(planted.n || 'message' || m)::uuid, id, 1 + m % 2, '', '', case when m % 4 = 3 then 2 else 1 end,
    p.text, '[]', 1, now() - age + m * interval '20 minutes'
from planted, generate_series(1, messages) m, planted_paragraph p
where p.n = (planted.n * 31 + m * 7877) % {paragraphs};

create aggregate pg_temp.joined (tsvector) (sfunc = tsvector_concat, stype = tsvector, initcond = '');

insert into ticket_text (ticket_id, document)
select t.id, strip(to_tsvector('russian', t.subject)) || (
    select pg_temp.joined(p.document) from generate_series(1, messages) m, planted_paragraph p
    where p.n = (planted.n * 31 + m * 7877) % {paragraphs}
)
from ticket t join planted on planted.id = t.id;

insert into word (word) select word from planted_word on conflict do nothing;

drop table planted, planted_word, planted_paragraph;

-- Queues that the desk made have sequences, which go on behind what was planted.
select setval('ticket_number_' || lower(queue), max(number)) from ticket
where to_regclass('ticket_number_' || lower(queue)) is not null group by queue;
