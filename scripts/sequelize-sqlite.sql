-- The users of an Express and Sequelize application in SQLite 3.38 and later, one line of JSON each, for
-- `airside user import`. Change the names of tables and columns to yours. Run it so:
--   sqlite3 application.sqlite < sequelize-sqlite.sql > users.jsonl
SELECT json_object(
    'id', u.id,
    'email', u.email,
    'password_hash', u.password,
    'created_at', strftime('%Y-%m-%dT%H:%M:%fZ', u.createdAt),
    'roles', json((
        SELECT json_group_array(r.name) FROM User_Roles ur JOIN Roles r ON r.id = ur.RoleId WHERE ur.UserId = u.id
    )))
FROM Users u ORDER BY u.id;
